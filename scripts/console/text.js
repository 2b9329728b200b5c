// text.js -- the page's words, in Chinese and English, and its times.

const KEY = "latchkey.language";

const words = {
  // [English, Chinese]
  skip: ["Skip to the content", "跳到正文"],
  theme: ["Theme", "主题"],
  leave: ["Sign out", "退出"],
  other_language: ["中文", "English"],
  failures: ["Failures", "失败"],
  apps: ["Apps", "应用"],
  users: ["Users", "用户"],
  platform: ["Platform", "平台"],
  live: ["Live", "实时"],
  sign_in: ["Sign in", "登录"],
  token: ["Admin token", "管理令牌"],
  token_where: ["The admin token is on the server, in",
    "管理令牌在服务器上的文件："],
  token_wrong: ["That is not the admin token.", "令牌不正确。"],
  enter: ["Enter", "进入"],
  failed: ["That did not work:", "出错了："],
  loading: ["…", "…"],
  nothing_yet: ["Nothing yet.", "暂无数据。"],
  no_chart: ["No chart: the package libjs-chart.js is not installed.",
    "没有图表：未安装 libjs-chart.js 软件包。"],
  platform_time: ["How long the platforms take", "平台响应时间"],
  platform_answers: ["What the platforms answer", "平台返回码"],
  access_tokens: ["Access tokens", "access_token"],
  calls: ["calls", "次数"],
  errcode: ["code", "返回码"],
  meaning: ["meaning", "含义"],
  app: ["app", "应用"],
  refreshes_left: ["forced refreshes left today", "今日剩余强制刷新次数"],
  age: ["age", "已用时间"],
  listening: ["Listening.", "正在监听。"],
  reconnecting: ["The server has hung up; trying again.", "连接断开，正在重连。"],
  test_connection: ["Test connection", "测试连接"],
  does_not_load: ["The newest text does not load:", "最新的脚本无法加载："],
  policy: ["Policy, defaults filled in", "策略（含默认值）"],
  field: ["field", "字段"],
  value: ["value", "值"],
  off: ["off", "关闭"],
  generation: ["Generation {n}", "第 {n} 代"],
  reload: ["Reload", "重新加载"],
  reload_ok: ["last reload worked:", "上次加载成功："],
  reload_failed: ["last reload failed:", "上次加载失败："],
  running: ["{n} workers, up for", "{n} 个工作线程，已运行"],
  no_apps: ["No policies.", "没有策略。"],
  all_apps: ["All apps", "全部应用"],
  over_time: ["Causes over time", "各原因随时间变化"],
  last_failures: ["The last failures", "最近的失败"],
  time: ["time", "时间"],
  route: ["call", "接口"],
  cause: ["cause", "内部原因"],
  user: ["user", "用户"],
  request: ["request", "请求"],
  timeline: ["Timeline", "时间线"],
  timeline_of: ["What happened to", "用户经历："],
  none_failed: ["Nothing has failed.", "没有失败。"],
  find: ["Find", "查找"],
  by_phone: ["Phone", "手机号"],
  by_openid: ["openid", "openid"],
  by_id: ["User id", "用户 ID"],
  nobody: ["Nobody found.", "没有找到。"],
  phone: ["phone", "手机号"],
  created: ["since", "创建于"],
  sessions: ["Sessions", "会话"],
  expires: ["ends", "到期"],
  revoke_all: ["End all sessions", "结束全部会话"],
  erase: ["Erase this user", "删除该用户"],
  erase_question: ["Erase this user with all that is stored of them? It "
    + "cannot be undone.", "删除该用户及其全部数据？此操作无法撤销。"],
  revoke_question: ["End all sessions of this user?", "结束该用户的全部会话？"],
  yes: ["Yes", "确定"],
  no: ["No", "取消"],
  done: ["Done.", "完成。"],
  search_by: ["Search by", "查找方式"],
  device: ["device", "设备"],
  used: ["used", "最近使用"],
  sealed_with: ["Sealed with", "加密所用的 key："],
  step_login: ["login brought key", "登录带来 key"],
  step_refused: ["data refused:", "数据被拒绝："],
  step_rescued: ["opened by a later login, with key", "之后的登录解开了数据，key"],
  was_rescued: ["A later login opened it:", "之后的登录解开了它："],
  not_rescued: ["Not opened since:", "至今没有解开："],
};

export function language() {
  return localStorage.getItem(KEY)
    || (navigator.language.startsWith("zh") ? "zh" : "en");
}

export function setLanguage(value) {
  localStorage.setItem(KEY, value);
}

/** The text called name, n in it; the name itself where there is none. */
export function t(name, n) {
  const pair = words[name];
  return pair ? pair[language() === "zh" ? 1 : 0].replace("{n}", n) : name;
}

/** One of a pair [English, Chinese]. */
export function pick(pair) {
  return pair ? pair[language() === "zh" ? 1 : 0] : "";
}

// What the server says of a failure or a test, in Chinese.
const said = [
  [/^only phone numbers wait for their key$/, "只有手机号会等待它的 key"],
  [/^phone\.rescue is 0$/, "phone.rescue 为 0"],
  [/^waiting for a login$/, "正在等待登录"],
  [/^no login brought its key within (\d+) s$/, "$1 秒内没有登录带来它的 key"],
  [/^its key was known: (\w+)$/, "它的 key 是已知的：$1"],
  [/^a key that was not known then$/, "当时未知的 key"],
  [/^a key of the ring$/, "已存的 key 之一"],
  [/^the platform accepts appid and secret \((.*)\)$/,
    "平台接受该 appid 和 secret（$1）"],
];

/** A text of the server's in the reader's language, where it is known. */
export function translate(text) {
  if (language() !== "zh") return text;
  const found = said.find(([pattern]) => pattern.test(text));
  return found ? text.replace(...found) : text;
}

const units = [["d", "天", 86400], ["h", "小时", 3600], ["min", "分钟", 60],
  ["s", "秒", 1]];

/** So many seconds in the two largest units that it has: 7 d, 1 min 47 s. */
export function span(seconds) {
  const words = [];
  let rest = Math.round(seconds);
  for (const [english, chinese, size] of units) {
    const n = Math.floor(rest / size);
    rest %= size;
    if (n) words.push(`${n} ${language() === "zh" ? chinese : english}`);
  }
  return words.slice(0, 2).join(" ") || `0 ${pick(["s", "秒"])}`;
}

/** Unix seconds as local date and time. */
export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleString(
    language() === "zh" ? "zh-CN" : "en-GB", { hour12: false });
}
