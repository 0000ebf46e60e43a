import type { Session } from '#identity/sessions.ts';

/** The cookie of a browser's session: not for scripts, not for other sites, and over TLS only where there is TLS. */
export const SESSION_COOKIE = 'cygnet_session';

export function sessionCookie(session: Session, about: { at: number; isSecure: boolean }): string {
  const seconds = Math.max(0, Math.floor((session.expiresAt - about.at) / 1000));
  return cookie(session.secret.open(), seconds, about.isSecure);
}

/** Makes a browser forget its session. */
export function noSessionCookie(isSecure: boolean): string {
  return cookie('', 0, isSecure);
}

function cookie(value: string, seconds: number, isSecure: boolean): string {
  const secure = isSecure ? '; Secure' : '';
  return `${SESSION_COOKIE}=${value}; Path=/api/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${secure}`;
}
