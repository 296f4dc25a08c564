import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { MeshError } from '../core/base/index.ts'
import { type Scope, scopes, socketHost } from '../api/index.ts'

/** Why a request is not served, with its HTTP status. */
export class Denied extends MeshError {
  readonly status: number

  constructor(status: 401 | 403 | 421, reason: string) {
    super(status === 401 ? 'UNAUTHORIZED' : 'FORBIDDEN', { reason })
    this.status = status
  }
}

/** Who may come in through one listener. */
export interface Door {
  /** The exact values of Host. */
  readonly hosts: ReadonlySet<string>
  /** The token of each scope; undefined where the file system guards the door. */
  readonly tokens: Readonly<Record<Scope, string>> | undefined
}

export const socketDoor: Door = { hosts: new Set([socketHost]), tokens: undefined }

/** The door of 127.0.0.1. */
export const loopbackDoor = (port: number, tokens: Readonly<Record<Scope, string>>): Door => ({
  hosts: new Set([`127.0.0.1:${port}`, `localhost:${port}`]),
  tokens
})

/** Headers that only a browser sends. A rebound page sends no Origin, so that Host is checked first. */
const browserHeaders = ['origin', 'referer', 'sec-fetch-site', 'sec-fetch-mode', 'sec-fetch-dest', 'sec-websocket-key'] as const

/** The scope that a request has. @throws {Denied} 421 for a foreign Host, 403 for a browser or an upgrade, 401 without a valid token. */
export function checkAccess(request: IncomingMessage, door: Door): Scope {
  checkHost(request, door)
  const telltale = browserHeaders.find((name) => request.headers[name] !== undefined)
  if (telltale !== undefined) throw new Denied(403, `a request with ${telltale} comes from a browser`)
  if (request.headers.upgrade !== undefined) throw new Denied(403, 'no other protocol is spoken here')
  return door.tokens === undefined ? 'admin' : checkToken(request, door.tokens)
}

function checkHost(request: IncomingMessage, door: Door): void {
  const given = request.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host')
  const isExact = given.length === 1 && door.hosts.has(request.headers.host ?? '')
  if (!isExact) throw new Denied(421, 'the Host is not one of this door')
  if (request.url?.startsWith('/') !== true) throw new Denied(421, 'the target is not a path')
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

function checkToken(request: IncomingMessage, tokens: Readonly<Record<Scope, string>>): Scope {
  const given = digest(/^Bearer ([A-Za-z0-9_-]{1,128})$/.exec(request.headers.authorization ?? '')?.[1] ?? '')
  let granted: Scope | undefined
  // Each is compared as a whole, so that the time tells nothing about how far a guess was right.
  for (const scope of scopes) if (timingSafeEqual(given, digest(tokens[scope]))) granted = scope
  if (granted === undefined) throw new Denied(401, 'the token is missing or wrong')
  return granted
}

/** @throws {Denied} 403 unless `held` includes `wanted`. */
export function checkScope(held: Scope, wanted: Scope): void {
  if (scopes.indexOf(held) < scopes.indexOf(wanted)) throw new Denied(403, `this needs a token of scope ${wanted}`)
}
