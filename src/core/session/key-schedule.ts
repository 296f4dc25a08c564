import { ByteWriter, type HandshakeCrypto, concat, utf8 } from '../base/index.ts'
import type { Suite } from './suites.ts'

/** What the schedule computes with. */
export interface KdfTools {
  readonly crypto: HandshakeCrypto
  readonly suite: Suite
}

/** The keys of one epoch; each is wiped by who takes it. */
export interface EpochKeys {
  readonly initiatorToResponder: Uint8Array
  readonly responderToInitiator: Uint8Array
  /** The salt of the next root. Nothing of this epoch's records can be had from it. */
  readonly next: Uint8Array
}

/** What the first epoch has besides. */
export interface FirstKeys extends EpochKeys {
  readonly initiatorConfirm: Uint8Array
  readonly responderConfirm: Uint8Array
  readonly exporter: Uint8Array
}

/** What a rekey mixes in. */
export interface RekeySecrets {
  readonly kem: Uint8Array
  readonly dh: Uint8Array
  /** The plaintexts of the two records. */
  readonly request: Uint8Array
  readonly answer: Uint8Array
}

const label = 'synaptic-mesh/pqs/1'
const keyBytes = 32

/** HKDF-Expand (RFC 5869 section 2.3) over the suite's hash; at most 255 hashes long. */
export function expand(
  { crypto, suite }: KdfTools,
  secret: Uint8Array,
  { info, length }: { readonly info: Uint8Array; readonly length: number }
): Uint8Array {
  const out = new Uint8Array(length)
  let block: Uint8Array = new Uint8Array(0)
  for (let filled = 0, counter = 1; filled < length; counter++) {
    const previous = block
    block = crypto.hmac(suite.hash, secret, previous, info, new Uint8Array([counter]))
    previous.fill(0)
    out.set(block.subarray(0, length - filled), filled)
    filled += block.length
  }
  block.fill(0)
  return out
}

/**
 * The keys of the first epoch: root_0 = HKDF-Expand(HKDF-Extract(salt = h, ikm = ck), "… root"), which is wiped when all were derived (rule Q2).
 * The caller wipes `chainingKey`.
 */
export function firstKeys(tools: KdfTools, hash: Uint8Array, chainingKey: Uint8Array): FirstKeys {
  const root = rootOf(tools, hash, chainingKey)
  const derive = deriver(tools, root)
  try {
    return {
      ...epochKeys(tools, root),
      initiatorConfirm: derive('confirm initiator', keyBytes),
      responderConfirm: derive('confirm responder', keyBytes),
      exporter: derive('exporter', tools.suite.hashBytes)
    }
  } finally {
    root.fill(0)
  }
}

/**
 * The keys of the following epoch: root_{n+1} = HKDF-Expand(HKDF-Extract(salt = next_n, ikm = ss_kem ‖ ss_dh ‖ H(request) ‖ H(answer)), "… root").
 * Whoever learns one of the two secrets only learns nothing. Wipes `next` and the secrets.
 */
export function nextKeys(tools: KdfTools, next: Uint8Array, { kem, dh, request, answer }: RekeySecrets): EpochKeys {
  const { crypto, suite } = tools
  const material = concat(kem, dh, crypto.hash(suite.hash, request), crypto.hash(suite.hash, answer))
  const root = rootOf(tools, next, material)
  try {
    return epochKeys(tools, root)
  } finally {
    for (const secret of [root, material, next, kem, dh]) secret.fill(0)
  }
}

/** The key of the following 2^16 records of a direction. Wipes `key`. */
export function chainKey(tools: KdfTools, key: Uint8Array): Uint8Array {
  const following = deriver(tools, key)('chain', keyBytes)
  key.fill(0)
  return following
}

/** HKDF-Expand(exporter, "… exporter " ‖ lp(purpose) ‖ lp(context), length), with u32 lengths: no two purposes can be confused. */
export function exportSecret(
  tools: KdfTools,
  exporter: Uint8Array,
  { purpose, context, length }: { readonly purpose: string; readonly context: Uint8Array; readonly length: number }
): Uint8Array {
  const info = new ByteWriter(128)
    .raw(utf8(`${label} exporter `))
    .prefixed32(utf8(purpose))
    .prefixed32(context)
    .take()
  return expand(tools, exporter, { info, length })
}

/** HMAC(confirm, h): shows that its sender has the keys. */
export const confirmation = ({ crypto, suite }: KdfTools, key: Uint8Array, hash: Uint8Array): Uint8Array => crypto.hmac(suite.hash, key, hash)

function rootOf(tools: KdfTools, salt: Uint8Array, material: Uint8Array): Uint8Array {
  const extracted = tools.crypto.hmac(tools.suite.hash, salt, material)
  const root = deriver(tools, extracted)('root', tools.suite.hashBytes)
  extracted.fill(0)
  return root
}

function epochKeys(tools: KdfTools, root: Uint8Array): EpochKeys {
  const derive = deriver(tools, root)
  return {
    initiatorToResponder: derive('key i2r', keyBytes),
    responderToInitiator: derive('key r2i', keyBytes),
    next: derive('next', tools.suite.hashBytes)
  }
}

/** Derives keys from one secret by their names. */
const deriver =
  (tools: KdfTools, secret: Uint8Array) =>
  (name: string, length: number): Uint8Array =>
    expand(tools, secret, { info: utf8(`${label} ${name}`), length })
