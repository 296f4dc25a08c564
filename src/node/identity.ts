import { randomBytes } from 'node:crypto'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import type { Signer } from '../core/base/index.ts'
import type { PqIdentity } from '../core/session/index.ts'
import { createPqIdentity, pqSeedOf } from '../crypto/pq-identity.ts'
import { createSigner, ed25519FromSeed, ed25519KeyBytes } from '../crypto/index.ts'
import { createPrivateFile, ensurePrivateFolder } from './files.ts'
import { encodeKeyFile, readSeed } from './key-file.ts'
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

/**
 * The identity in `file`; undefined when there is none. @param passphraseFile - of an encrypted identity; '' = none is known
 * @throws {MeshError} KEY_CORRUPT, PASSPHRASE_NEEDED, PASSPHRASE_WRONG, PASSPHRASE_UNUSABLE, PERMISSIONS_UNSAFE, PATH_UNSAFE
 */
export async function loadIdentity(file: string, passphraseFile = ''): Promise<Identity | undefined> {
  const seed = await readSeed(file, passphraseFile)
  return seed === undefined ? undefined : identityOf(seed)
}

/** The identity in `file`; a new one is made when there is none, encrypted when a passphrase is named. What cannot be read is never replaced. */
export async function ensureIdentity(file: string, passphraseFile = ''): Promise<{ readonly identity: Identity; readonly created: boolean }> {
  const known = await loadIdentity(file, passphraseFile)
  if (known !== undefined) return { identity: known, created: false }
  ensurePrivateFolder(dirname(file))
  const seed = new Uint8Array(randomBytes(ed25519KeyBytes))
  createPrivateFile(file, await encodeKeyFile(seed, passphraseFile))
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
