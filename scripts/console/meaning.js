// meaning.js -- what codes, reasons and causes mean, and what helps.

import { pick } from "./text.js";

// [English, Chinese]; the facts are the platforms' own.
const codes = {
  0: ["worked", "成功"],
  ok: ["worked", "成功"],
  "-1": ["busy: tried again a little", "系统繁忙：已少量重试"],
  40001: ["access token or secret is wrong", "access_token 或 secret 错误"],
  40002: ["grant type or token is wrong", "grant_type 或令牌错误"],
  40003: ["openid is wrong", "openid 错误"],
  40013: ["appid is wrong: check the policy", "appid 错误：检查策略"],
  40014: ["access token is malformed (WeChat); a field is missing (Douyin)",
    "access_token 不合法（微信）；缺少参数（抖音）"],
  40015: ["appid is wrong: check the policy", "appid 错误：检查策略"],
  40017: ["secret is wrong: check the policy", "secret 错误：检查策略"],
  40018: ["code is invalid, used or expired", "code 无效、已用或过期"],
  40019: ["device code is invalid", "anonymous_code 无效"],
  40029: ["code is invalid or expired, or of another app",
    "code 无效、过期，或属于其他应用"],
  40125: ["secret is wrong: check the policy", "secret 错误：检查策略"],
  40163: ["code was used already: two back-ends, or sent twice",
    "code 已被使用：两个后端，或重复发送"],
  40164: ["this server's IP is not on the list of the app",
    "服务器 IP 不在白名单"],
  40020: ["grant type is wrong", "grant_type 错误"],
  40243: ["secret is frozen", "secret 已被冻结"],
  40226: ["high-risk user, blocked by the platform", "高风险用户，被平台拦截"],
  41001: ["access token is missing", "缺少 access_token"],
  41002: ["appid is missing", "缺少 appid"],
  41004: ["secret is missing", "缺少 secret"],
  42001: ["access token has expired", "access_token 过期"],
  45009: ["the day's quota is used up", "当日调用次数用完"],
  45011: ["called too often: wait a minute", "调用太频繁：请等一分钟"],
  50002: ["user is limited by the platform", "用户受平台限制"],
  48001: ["the app lacks the permission for this call", "该小程序没有此接口的权限"],
  48004: ["the permission for this call was taken away", "此接口的权限已被封禁"],
  50001: ["the app is not authorized for this call", "未获得此接口的授权"],
  50004: ["the app may not make this call", "该小程序无权调用此接口"],
  50007: ["the account is frozen", "账号已被冻结"],
  89501: ["this server's IP waits for the administrator's consent",
    "服务器 IP 等待管理员确认"],
  89503: ["this server's IP waits for the administrator's consent",
    "服务器 IP 等待管理员确认"],
  89506: ["the administrator refused this server's IP for a day",
    "管理员已拒绝该 IP，24 小时内不能再申请"],
  89507: ["the administrator refused this server's IP for an hour",
    "管理员已拒绝该 IP，1 小时内不能再申请"],
  87009: ["signature is wrong: the session key is stale",
    "签名错误：session_key 已失效"],
  10002: ["a parameter is wrong: check the policy", "参数错误：检查策略"],
  10003: ["appid is wrong: check the policy", "appid 错误：检查策略"],
  10013: ["appid or secret is wrong: check the policy",
    "appid 或 secret 错误：检查策略"],
  10020: ["called too often", "调用太频繁"],
  28001005: ["busy: tried again a little", "系统繁忙：已少量重试"],
  28001006: ["busy: tried again a little", "系统繁忙：已少量重试"],
  28001007: ["phone code is malformed", "手机号 code 不合法"],
  28001014: ["the app has not been granted this call", "该小程序没有此接口权限"],
  28001016: ["the app is banned", "小程序已被封禁"],
  28001018: ["the app has not been granted this call", "该小程序没有此接口权限"],
  28001019: ["the app is barred from this call", "该小程序被禁止调用此接口"],
  28001039: ["signature is wrong: the session key is stale",
    "签名错误：session_key 已失效"],
  28003017: ["the day's quota is used up", "当日调用次数用完"],
  28003018: ["called too often", "调用太频繁"],
  28005139: ["called too often", "调用太频繁"],
  28001003: ["access token is invalid", "access_token 无效"],
  28001008: ["access token has expired", "access_token 过期"],
  28005187: ["phone code has expired", "手机号 code 过期"],
  timeout: ["no answer in time", "超时"],
  connect: ["no connection", "无法连接"],
};

const causes = {
  no_key: ["no key of this user is stored: no login came, or all are older "
    + "than key.window", "没有该用户的 session_key：尚未登录，或都超过 key.window"],
  key_stale: ["none of the stored keys opens it: it was sealed under a key "
    + "that never came here, or came later", "已存的 session_key 都解不开："
    + "加密所用的 key 没有到过这里，或之后才到"],
  wrong_app: ["the data is of another appid", "数据属于其他 appid"],
  wrong_user: ["data or code are of another user", "数据或 code 属于其他用户"],
  too_old: ["sealed longer ago than phone.max_age", "数据超过 phone.max_age"],
  from_future: ["its time is ahead of ours: check the clocks",
    "时间戳在未来：检查时钟"],
  signature_mismatch: ["rawData was changed, or signed with a key that is not "
    + "stored", "rawData 被改动，或签名用的 key 不在本地"],
  not_phone: ["it opens, but holds no phone number", "能解密，但不是手机号"],
  replayed: ["the same data came before (phone.once)", "同一数据重复提交（phone.once）"],
  data_odd: ["a key opens it, but it is no JSON that can be used",
    "能解密，但不是可用的 JSON"],
  iv_mismatch: ["a key opens all but the first block: the iv is of another tap",
    "key 正确，但 iv 与数据不是同一次点击"],
};

const reasons = {
  code_invalid: ["the code is not good any more", "code 失效"],
  code_used: ["someone else used the code", "code 被别处用掉"],
  open_data_rejected: ["sealed data did not open", "数据无法解密"],
  phone_code_invalid: ["the phone code is not good", "手机号 code 失效"],
  rate_limited: ["too many requests", "请求过多"],
  misconfigured: ["the platform refuses appid, secret or IP",
    "平台拒绝了 appid、secret 或 IP"],
  platform_error: ["an answer that makes no sense", "平台返回异常"],
  platform_busy: ["busy, or no connection", "平台繁忙或无法连接"],
  platform_timeout: ["no answer in time", "平台超时"],
  policy_error: ["a hook of the policy raised", "策略脚本出错"],
  denied: ["the policy said no", "被策略拒绝"],
  user_blocked: ["the platform blocks this user", "平台拦截了该用户"],
  store_unavailable: ["the store did not take it", "存储不可用"],
};

/** What a platform's code means, or "". */
export const meaning = (code) => pick(codes[code]);

/** What a cause or reason means, or "". */
export const explain = (name) => pick(causes[name] || reasons[name]);
