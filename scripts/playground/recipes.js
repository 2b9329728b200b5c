// recipes.js -- what breaks others.  Each is played with a back-end that has
// login(platform, user, code) -> {ok, ...} and phone(…) -> {ok, text}.

import { act, latchkey, newUser, plain, sealedOf, settings } from "./world.js";

/** The plain back-end, as articles have it. */
function plainBackend(platform) {
  let openid;
  return {
    async login(code) {
      const told = await plain(platform, "login", { code });
      openid = told.openid || openid;
      return { ok: Boolean(told.openid), text: told.error };
    },
    async phone(sealed) {
      const told = await plain(platform, "phone", { openid, ...sealed });
      return { ok: Boolean(told.phoneNumber),
        text: told.phoneNumber || told.error };
    },
  };
}

/** latchkey, by a client that follows `action`. */
function latchkeyBackend(platform) {
  let token;
  const number = (data) => data?.phone?.purePhoneNumber || data?.purePhoneNumber;
  const said = (told) => ({ ok: told.code === 0, action: told.action,
    text: number(told.data) || told.reason || "ok", phone: number(told.data) });
  return {
    async login(code) {
      const told = await latchkey(platform, "POST", "login", { code }, token);
      if (told.code === 0) token = told.data.token;
      return said(told);
    },
    async phone(sealed, code) {
      return said(await latchkey(platform, "POST", "phone",
        { ...sealed, code }, token));
    },
  };
}

export const backends = { plain: plainBackend, latchkey: latchkeyBackend };

const codeOf = async (platform, user) =>
  (await act(platform, "login", user)).code;
const tap = async (platform, user) =>
  sealedOf(await act(platform, "phone", user));

export const recipes = {
  async in_callback(platform, server, user) {
    await server.login(await codeOf(platform, user));
    const sealed = await tap(platform, user);
    await server.login(await codeOf(platform, user));
    return server.phone(sealed);
  },

  async racing(platform, server, user) {
    await server.login(await codeOf(platform, user));
    const code = await codeOf(platform, user);
    const sealed = await tap(platform, user);
    const first = await server.phone(sealed);
    const login = await server.login(code);
    if (first.ok) return first;
    return login.phone ? { ok: true, text: login.phone } : first;
  },

  async twice(platform, server, user) {
    const code = await codeOf(platform, user);
    await server.login(code);
    const second = await server.login(code);
    if (!second.ok) return second;
    return server.phone(await tap(platform, user));
  },

  async two_devices(platform, server, user) {
    await server.login(await codeOf(platform, user));
    const onFirst = await tap(platform, user);
    const onSecond = await codeOf(platform, user);
    await server.login(onSecond);
    return server.phone(onFirst);
  },

  async plus(platform, server, user) {
    await server.login(await codeOf(platform, user));
    let sealed = await tap(platform, user);
    while (!sealed.encryptedData.includes("+")) {
      sealed = await tap(platform, user);
    }
    sealed.encryptedData = sealed.encryptedData.replaceAll("+", " ");
    return server.phone(sealed);
  },

  async late(platform, server, user) {
    const code = await codeOf(platform, user);
    await settings({ clock_offset: 360 });
    const late = await server.login(code);
    await settings({ clock_offset: 0 });
    if (!late.ok && late.action !== "login") return late;
    if (!late.ok) await server.login(await codeOf(platform, user));
    return server.phone(await tap(platform, user));
  },
};

/** Plays one recipe with both: {plain: {ok, text}, latchkey: {ok, text}}. */
export async function play(name, platform) {
  const results = {};
  await settings({ rotate_min: 0 });
  for (const [which, backend] of Object.entries(backends)) {
    try {
      results[which] = await recipes[name](platform, backend(platform),
        newUser());
    } catch (error) {
      results[which] = { ok: false, text: error.message };
    }
  }
  await settings({ rotate_min: 60, clock_offset: 0 });
  return results;
}
