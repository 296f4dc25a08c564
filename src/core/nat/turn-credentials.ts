import { hmac } from '@noble/hashes/hmac.js'
import { sha1 } from '@noble/hashes/legacy.js'
import { toBase64Url, utf8, type WallMillis } from '../base/index.ts'

/** What a TURN server is given (RFC 8489 section 9.2). */
export interface TurnCredentials {
  readonly username: string
  readonly password: string
}

export const turnCredentialsS = 3_600

/**
 * Credentials of an hour from the secret that TURN servers share (draft-uberti-behave-turn-rest-00, coturn's use-auth-secret):
 * the username is `<unix time of expiry>:<name>`, the password base64 of HMAC-SHA1 over it.
 */
export function restCredentials(secret: string, name: string, now: WallMillis): TurnCredentials {
  const username = `${Math.floor(now / 1_000) + turnCredentialsS}:${name}`
  return { username, password: base64(hmac(sha1, utf8(secret), utf8(username))) }
}

/** Base64 with padding (RFC 4648 section 4). */
function base64(bytes: Uint8Array): string {
  const text = toBase64Url(bytes).replaceAll('-', '+').replaceAll('_', '/')
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=')
}
