import { randomBytes, timingSafeEqual } from 'node:crypto'
import { type Scope, scopes } from '../../api/index.ts'
import { fromHex, MeshError, toHex, utf8 } from '../../core/base/index.ts'
import { readPrivateFile, writePrivateFile } from '../../node/files.ts'
import { tokenDigest, type TokenJudge, type TokenVerdict } from '../access.ts'

/** A token as it is kept: by its digest, so that who reads the file has no token. Times are wall clock milliseconds. */
export interface StoredToken {
  readonly name: string
  readonly scope: Scope
  readonly createdAt: number
  /** Undefined: never. */
  readonly expiresAt: number | undefined
  readonly digest: Uint8Array
}

const maxTokens = 64
const tokenPrefix = 'smt_'

/** The tokens of one profile: those of this run, which are in files, and those that `gateway token create` made, of which only digests are kept. */
export class TokenBook implements TokenJudge {
  readonly #file: string
  readonly #now: () => number
  readonly #run = new Map<Scope, Uint8Array>()
  readonly #used = new Map<string, number>()
  #stored: readonly StoredToken[]

  /** @throws {MeshError} CONFIG_MALFORMED, PATH_UNSAFE, PERMISSIONS_UNSAFE when the file is there and cannot be used */
  constructor(file: string, now: () => number = Date.now) {
    this.#file = file
    this.#now = now
    const bytes = readPrivateFile(file)
    this.#stored = bytes === undefined ? [] : parseTokens(bytes, file)
  }

  /** Takes the tokens of this run as well. */
  addRun(tokens: Readonly<Record<Scope, string>>): void {
    for (const scope of scopes) this.#run.set(scope, tokenDigest(tokens[scope]))
  }

  check(digest: Uint8Array): TokenVerdict {
    let verdict: TokenVerdict = { state: 'unknown' }
    // All are compared, each as a whole.
    for (const [scope, own] of this.#run) if (timingSafeEqual(digest, own)) verdict = { state: 'valid', scope }
    for (const token of this.#stored) {
      if (!timingSafeEqual(digest, token.digest)) continue
      verdict = this.#judge(token)
    }
    return verdict
  }

  #judge({ name, scope, expiresAt }: StoredToken): TokenVerdict {
    const now = this.#now()
    if (expiresAt !== undefined && expiresAt <= now) return { state: 'expired' }
    this.#used.set(name, now)
    return { state: 'valid', scope, ...(expiresAt === undefined ? {} : { expiresInMs: expiresAt - now }) }
  }

  /** All that were made and not revoked, with when each was last used in this run of the daemon. */
  list(): readonly (StoredToken & { readonly usedAt: number | undefined })[] {
    return this.#stored.map((token) => ({ ...token, usedAt: this.#used.get(token.name) }))
  }

  get size(): number {
    return this.#stored.length
  }

  /** Makes a token of 256 random bits; it is told this once. @throws {MeshError} TOKEN_EXISTS, OPTION_INVALID when there are 64, DISK_FULL */
  create(wanted: {
    readonly name: string
    readonly scope: Scope
    readonly expiresInS: number | undefined
  }): StoredToken & { readonly token: string } {
    const { name, scope, expiresInS } = wanted
    if (this.#stored.some((each) => each.name === name)) throw new MeshError('TOKEN_EXISTS', { name })
    if (this.#stored.length >= maxTokens)
      throw new MeshError('OPTION_INVALID', { path: 'the number of tokens', value: maxTokens + 1, allowed: `at most ${maxTokens}: revoke one first` })
    const token = tokenPrefix + randomBytes(32).toString('base64url')
    const createdAt = this.#now()
    const expiresAt = expiresInS === undefined ? undefined : createdAt + expiresInS * 1_000
    const stored: StoredToken = { name, scope, createdAt, expiresAt, digest: tokenDigest(token) }
    this.#save([...this.#stored, stored])
    return { ...stored, token }
  }

  /** From now on the token is void. @throws {MeshError} TOKEN_UNKNOWN */
  revoke(name: string): void {
    if (!this.#stored.some((each) => each.name === name)) throw new MeshError('TOKEN_UNKNOWN', { name })
    this.#used.delete(name)
    this.#save(this.#stored.filter((each) => each.name !== name))
  }

  #save(tokens: readonly StoredToken[]): void {
    const rows = tokens.map(({ digest, ...token }) => ({ ...token, sha256: toHex(digest) }))
    writePrivateFile(this.#file, utf8(`${JSON.stringify({ version: 1, tokens: rows }, undefined, 2)}\n`))
    this.#stored = tokens
  }
}

/** The tokens in the bytes of `file`. @throws {MeshError} CONFIG_MALFORMED */
export function parseTokens(bytes: Uint8Array, file: string): readonly StoredToken[] {
  const malformed = (reason: string, cause?: unknown): MeshError => new MeshError('CONFIG_MALFORMED', { file, reason }, { cause })
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw malformed('it is not JSON', cause)
  }
  if (!isRecord(value) || value['version'] !== 1 || !Array.isArray(value['tokens'])) throw malformed('it is no list of tokens of version 1')
  const rows: readonly unknown[] = value['tokens']
  if (rows.length > maxTokens) throw malformed(`it holds more than ${maxTokens} tokens`)
  const tokens = rows.map(parseToken)
  const known = tokens.filter((token) => token !== undefined)
  if (known.length !== tokens.length || new Set(known.map(({ name }) => name)).size !== known.length)
    throw malformed('one of its tokens is not understood')
  return known
}

function parseToken(row: unknown): StoredToken | undefined {
  if (!isRecord(row)) return undefined
  const { name, createdAt, expiresAt, sha256 } = row
  const scope = scopes.find((each) => each === row['scope'])
  if (typeof name !== 'string' || name === '' || name.length > 64 || scope === undefined || !isTime(createdAt)) return undefined
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256) || !(expiresAt === undefined || isTime(expiresAt))) return undefined
  return { name, scope, createdAt, expiresAt, digest: fromHex(sha256) }
}

const isTime = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value)
