// world.js -- who there is to talk to: the platform's side of a phone, latchkey
// and the plain back-end.

export const APPIDS = { wechat: "wx4f4bc4dec97d474b",
  douyin: "tt07e3715e98c9aac0" };

async function send(method, path, body, token) {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(path, { method, headers,
    body: body && JSON.stringify(body) });
  const text = await answer.text();
  try {
    return { status: answer.status, ...JSON.parse(text) };
  } catch {
    return { status: answer.status, msg: text };
  }
}

/** What a phone does on its platform: login, phone, check. */
export const act = (platform, action, user) =>
  send("POST", `/sandbox/${platform}/${APPIDS[platform]}/${action}`, { user });

export const settings = (changes) =>
  send("PUT", "/sandbox/settings", changes);

/** A call of latchkey's API for the platform's demo app. */
export const latchkey = (platform, method, call, body, token) =>
  send(method, `api/v1/demo-${platform}/${call}`, body, token);

/** A call of the plain back-end. */
export const plain = (platform, call, body) =>
  send("POST", `plain/${call}`, { platform, appid: APPIDS[platform], ...body });

/** A user whom nobody has seen. */
export const newUser = () =>
  `player-${Math.random().toString(36).slice(2, 10)}`;

export const sealedOf = ({ encryptedData, iv }) => ({ encryptedData, iv });
