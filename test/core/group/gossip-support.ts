import { wallMillis } from '../../../src/core/base/index.ts'
import { type EpochSecret, encodeGroupContent, type GroupContent, membersDigest } from '../../../src/core/group/index.ts'
import { nodeHandshakeCrypto } from '../../../src/crypto/handshake-crypto.ts'
import { createSigner, createVerifier } from '../../../src/crypto/index.ts'

export const crypto = nodeHandshakeCrypto
export const verifier = createVerifier('test')
export const signerOf = (seed: number): ReturnType<typeof createSigner> => createSigner(new Uint8Array(32).fill(seed), 'test')
export const [alice, bob, carol] = [signerOf(1), signerOf(2), signerOf(3)]

export const secret: EpochSecret = { key: new Uint8Array(32).fill(7), group: new Uint8Array(16).fill(9), epoch: 3 }

export const contentOf = (change: Partial<GroupContent> = {}): GroupContent => ({
  group: secret.group,
  epoch: secret.epoch,
  message: '01JD8XAAAAAAAAAAAAAAAAAAAA',
  members: membersDigest([alice, bob, carol].map(({ publicKey }) => ({ key: publicKey }))),
  sentAt: wallMillis(1_800_000_000_000),
  sequences: [0, 1, 70_000],
  template: new TextEncoder().encode('what all have in common'),
  ...change
})

export const contentBytes = (change: Partial<GroupContent> = {}): Uint8Array => encodeGroupContent(contentOf(change), alice)
