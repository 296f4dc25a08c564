import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { MeshError } from '../core/base/index.ts'
import { type Route, type Scope, scopes, socketHost } from '../api/index.ts'

/** Why a request is not served, with its HTTP status. */
export class Denied extends MeshError {
  readonly status: number

  constructor(status: 401 | 403 | 421, reason: string) {
    super(status === 401 ? 'UNAUTHORIZED' : 'FORBIDDEN', { reason })
    this.status = status
  }
}

/** Who calls: over the socket, which the file system guards and which may do everything, or over a port of 127.0.0.1 with a token. */
export interface Caller {
  readonly over: 'socket' | 'port'
  readonly scope: Scope
  /** How long its token is still good, in milliseconds; undefined: until it is revoked. */
  readonly expiresInMs?: number
}

/** What is known of a token by its SHA-256 digest. */
export type TokenVerdict =
  | { readonly state: 'valid'; readonly scope: Scope; readonly expiresInMs?: number }
  | { readonly state: 'expired' | 'unknown' }

/** Judges tokens, in a time that tells nothing about how far a guess was right. */
export interface TokenJudge {
  check(digest: Uint8Array): TokenVerdict
}

/** Who may come in through one listener. */
export interface Door {
  /** The exact values of Host. */
  readonly hosts: ReadonlySet<string>
  /** Who knows the tokens; undefined where the file system guards the door. */
  readonly tokens: TokenJudge | undefined
}

export const socketDoor: Door = { hosts: new Set([socketHost]), tokens: undefined }

/** The door of 127.0.0.1. */
export const loopbackDoor = (port: number, tokens: TokenJudge): Door => ({ hosts: new Set([`127.0.0.1:${port}`, `localhost:${port}`]), tokens })

/** Headers that only a browser sends. A rebound page sends no Origin, so that Host is checked first. */
const browserHeaders = ['origin', 'referer', 'sec-fetch-site', 'sec-fetch-mode', 'sec-fetch-dest'] as const

/** Who calls, by a request. @throws {Denied} 421 for a foreign Host, 403 for a browser or an upgrade, 401 without a valid token. */
export function checkAccess(request: IncomingMessage, door: Door): Caller {
  checkPlace(request, door)
  if (request.headers['sec-websocket-key'] !== undefined || request.headers.upgrade !== undefined)
    throw new Denied(403, 'no other protocol is spoken here')
  return door.tokens === undefined ? { over: 'socket', scope: 'admin' } : { over: 'port', ...bearer(request, door.tokens) }
}

/**
 * Who asks for a WebSocket: undefined when no token came with the request, so that the first message must bring it. Browsers always send Origin with it, and
 * are refused by that. @throws {Denied} as `checkAccess`
 */
export function checkUpgrade(request: IncomingMessage, door: Door): Caller | undefined {
  checkPlace(request, door)
  if (door.tokens === undefined || request.headers.upgrade?.toLowerCase() !== 'websocket') throw new Denied(403, 'no other protocol is spoken here')
  return request.headers.authorization === undefined ? undefined : { over: 'port', ...bearer(request, door.tokens) }
}

/** That a request is for this door and comes from no browser. */
function checkPlace(request: IncomingMessage, door: Door): void {
  const given = request.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host')
  const isExact = given.length === 1 && door.hosts.has(request.headers.host ?? '')
  if (!isExact) throw new Denied(421, 'the Host is not one of this door')
  if (request.url?.startsWith('/') !== true) throw new Denied(421, 'the target is not a path')
  const telltale = browserHeaders.find((name) => request.headers[name] !== undefined)
  if (telltale !== undefined) throw new Denied(403, `a request with ${telltale} comes from a browser`)
}

/** The SHA-256 digest by which a token is kept and compared. */
export const tokenDigest = (token: string): Buffer => createHash('sha256').update(token).digest()

type Grant = Pick<Caller, 'scope' | 'expiresInMs'>

const bearer = (request: IncomingMessage, tokens: TokenJudge): Grant =>
  checkToken(/^Bearer ([A-Za-z0-9_-]{1,128})$/.exec(request.headers.authorization ?? '')?.[1] ?? '', tokens)

/** What a token grants. @throws {Denied} 401 when it is none, or has expired */
export function checkToken(token: string, tokens: TokenJudge): Grant {
  const { state, ...grant } = tokens.check(tokenDigest(token))
  if (state === 'valid' && 'scope' in grant) return grant
  throw new Denied(401, state === 'expired' ? 'the token has expired' : 'the token is missing or wrong')
}

/** @throws {Denied} 403 unless `held` includes `wanted`. */
export function checkScope(held: Scope, wanted: Scope): void {
  if (scopes.indexOf(held) < scopes.indexOf(wanted)) throw new Denied(403, `this needs a token of scope ${wanted}`)
}

/** @throws {Denied} 403 where an operation is for the socket only. */
export function checkDoor({ over }: Caller, route: Route): void {
  if (route.socketOnly === true && over !== 'socket') throw new Denied(403, "this is done over the profile's socket only: use the command line")
}
