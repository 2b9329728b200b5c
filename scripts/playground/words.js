// words.js -- the page in Chinese and English.

const words = {
  about: ["Two phones, a server, and what breaks others.",
    "两部手机、一台服务器，以及让别人出错的做法。"],
  break_it: ["Break it", "弄坏它"],
  break_about: ["Each button does what articles say breaks phone numbers, once "
    + "with a plain back-end (one session_key per openid) and once with latchkey.",
    "每个按钮重演一种文章里常见的出错方式：一次用普通后端（每个 openid 一个 "
    + "session_key），一次用 latchkey。"],
  run: ["Try", "试一试"],
  run_all: ["Try all", "全部试一遍"],
  wechat: ["WeChat", "微信"],
  douyin: ["Douyin", "抖音"],
  plain: ["plain back-end", "普通后端"],
  手机号解密失败: ["does not decrypt", "手机号解密失败"],
  other: ["中文", "English"],
  launch: ["Launch", "启动小程序"],
  login: ["Log in", "登录"],
  tap: ["Tap for the phone number", "点击获取手机号"],
  clear: ["Clear the cache", "清除缓存"],
  sleep: ["Sleep 40 minutes", "闲置 40 分钟"],
  second: ["Second device", "第二台设备"],
  first: ["First device", "第一台设备"],
  signed_in: ["signed in", "已登录"],
  signed_out: ["not signed in", "未登录"],
  device: ["device", "设备"],
  no_answers: ["The server's answers appear here.", "服务器的回答显示在这里。"],
  in_callback: ["Log in inside the phone callback: the key changes between "
    + "popup and decryption.", "在手机号回调里登录：弹窗与解密之间 key 变了。"],
  racing: ["The data arrives before the login whose key sealed it.",
    "加密数据比带来 key 的登录先到。"],
  twice: ["A gateway sends the login twice.", "网关把登录请求发了两次。"],
  two_devices: ["Two devices of one user.", "同一用户的两台设备。"],
  plus: ["A form on the way turns + into a blank.", "途中的表单把 + 变成空格。"],
  late: ["The code is sent six minutes late; the client logs in again where the "
    + "answer says so.", "code 晚了六分钟才发送；应答要求重新登录时，客户端照做。"],
};

let language = localStorage.getItem("latchkey.language")
  || (navigator.language.startsWith("zh") ? "zh" : "en");

export const t = (name) => words[name]?.[language === "zh" ? 1 : 0] ?? name;

export const current = () => language;

export function toggle() {
  language = language === "zh" ? "en" : "zh";
  localStorage.setItem("latchkey.language", language);
}
