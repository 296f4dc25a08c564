import { randomBytes } from 'node:crypto'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { type Signer, MeshError, equalBytes, fromHex, toHex, utf8 } from '../core/base/index.ts'
import type { PqIdentity } from '../core/session/index.ts'
import { createPqIdentity, pqSeedOf } from '../crypto/pq-identity.ts'
import { createSigner, ed25519FromSeed, ed25519KeyBytes, sha256 } from '../crypto/index.ts'
import { createPrivateFile, ensurePrivateFolder, readPrivateFile } from './files.ts'
import { dirname } from 'node:path'

/** A node's key pair, in the forms that its users want. */
export interface Identity {
  /** 32 bytes, Ed25519. */
  readonly publicKey: Uint8Array
  readonly peerId: string
  readonly libp2pKey: Ed25519PrivateKey
  /** A signer bound to a network. */
  signer(network: string): Signer
  /** The ML-DSA-65 key that belongs to it, bound to a network, with its cross-signed record. Made when it is first asked for. */
  pqIdentity(network: string): PqIdentity
}

/** The identity in `file`; undefined when there is none. @throws {MeshError} KEY_CORRUPT, PERMISSIONS_UNSAFE, PATH_UNSAFE */
export async function loadIdentity(file: string): Promise<Identity | undefined> {
  const bytes = readPrivateFile(file)
  if (bytes === undefined) return undefined
  const seed = decodeSeed(bytes, file)
  bytes.fill(0)
  return identityOf(seed)
}

/** The identity in `file`; a new one is made when there is none. What cannot be read is never replaced. */
export async function ensureIdentity(file: string): Promise<{ readonly identity: Identity; readonly created: boolean }> {
  const known = await loadIdentity(file)
  if (known !== undefined) return { identity: known, created: false }
  ensurePrivateFolder(dirname(file))
  const seed = new Uint8Array(randomBytes(ed25519KeyBytes))
  createPrivateFile(file, encodeSeed(seed))
  return { identity: await identityOf(seed), created: true }
}

/** An identity that lives as long as the process. */
export const ephemeralIdentity = (): Promise<Identity> => identityOf(new Uint8Array(randomBytes(ed25519KeyBytes)))

/** The identity of a 32-byte seed. The seed is overwritten. */
export async function identityOf(seed: Uint8Array): Promise<Identity> {
  const libp2pKey = await generateKeyPairFromSeed('Ed25519', seed)
  const secret = Uint8Array.from(seed)
  seed.fill(0)
  return {
    publicKey: ed25519FromSeed(secret).publicKey,
    peerId: peerIdFromPrivateKey(libp2pKey).toString(),
    libp2pKey,
    signer: (network) => createSigner(secret, network),
    pqIdentity: (network) =>
      createPqIdentity({ seed: pqSeedOf(secret), network, signer: createSigner(secret, network), levels: [1, 3, 5], sequence: 1 })
  }
}

const firstLine = 'synaptic-mesh identity 1'

/** The text of a key file: a version, the seed, its public key, and SHA-256 over these lines. */
export function encodeSeed(seed: Uint8Array): Uint8Array {
  const lines = [firstLine, `ed25519-seed ${toHex(seed)}`, `ed25519-public ${toHex(ed25519FromSeed(seed).publicKey)}`, ''].join('\n')
  return utf8(`${lines}sha256 ${toHex(sha256(utf8(lines)))}\n`)
}

/** The seed of a key file. Only the exact bytes that `encodeSeed` makes are taken. @throws {MeshError} KEY_CORRUPT */
export function decodeSeed(bytes: Uint8Array, file: string): Uint8Array {
  const [first = '', second = ''] = Buffer.from(bytes).toString('latin1').split('\n', 2)
  const seedText = /^ed25519-seed ([0-9a-f]{64})$/.exec(second)?.[1]
  if (first !== firstLine || seedText === undefined) throw corrupt(file, 'it is not a key file of version 1')
  const seed = fromHex(seedText)
  if (!equalBytes(encodeSeed(seed), bytes)) throw corrupt(file, 'its checksum does not fit')
  return seed
}

const corrupt = (file: string, reason: string): MeshError => new MeshError('KEY_CORRUPT', { file, reason })
