import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromHex, millis, toHex, wallMillis } from '../../../src/core/base/index.ts'
import {
  type Invite,
  InviterMachine,
  JoinerMachine,
  decodeCard,
  decodeInvite,
  encodeCard,
  encodeInvite,
  inviteIdOf
} from '../../../src/core/peers/index.ts'
import { cardOf, hmac, network, seeded, signerOf, verifier } from './support.ts'

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
const file = new URL('../../vectors/peers-v1.json', import.meta.url)

/** Everything that both ends of the wire have to agree on, from fixed keys and randomness. */
function produce(): Readonly<Record<string, string | readonly string[]>> {
  const inviter = signerOf('vector inviter')
  const joiner = signerOf('vector joiner')
  const secret = seeded('vector secret').bytes(16)
  const invite: Invite = {
    network,
    publicKey: inviter.publicKey,
    secret,
    expiresAt: wallMillis(1_800_000_000_000),
    addresses: ['/ip4/192.0.2.7/tcp/9000', '/ip4/192.0.2.7/tcp/9001/ws', '/dns4/node.example.org/tcp/9000']
  }
  const inviterCard = encodeCard(cardOf(inviter.publicKey, { name: 'inviter' }), inviter)
  const joinerCard = encodeCard(cardOf(joiner.publicKey, { name: 'joiner', labels: [], features: [], addresses: [] }), joiner)
  return {
    inviterKey: toHex(inviter.publicKey),
    joinerKey: toHex(joiner.publicKey),
    inviterCard: toHex(inviterCard),
    joinerCard: toHex(joinerCard),
    invite: encodeInvite(invite),
    inviteId: toHex(inviteIdOf(secret)),
    pairingFrames: pairingFrames(invite, { inviterCard, joinerCard })
  }
}

function pairingFrames(invite: Invite, cards: { readonly inviterCard: Uint8Array; readonly joinerCard: Uint8Array }): readonly string[] {
  const inviterKey = signerOf('vector inviter').publicKey
  const joinerKey = signerOf('vector joiner').publicKey
  const inviter = new InviterMachine({
    network,
    verifier,
    hmac,
    binding: seeded('vector binding').bytes(32),
    ownKey: inviterKey,
    peerKey: joinerKey,
    ownCard: cards.inviterCard
  })
  const joiner = new JoinerMachine({
    network,
    verifier,
    hmac,
    binding: seeded('vector binding').bytes(32),
    ownKey: joinerKey,
    peerKey: inviterKey,
    ownCard: cards.joinerCard,
    invite
  })
  const frames: string[] = []
  const sent = (outputs: readonly { readonly type: string; readonly frame?: Uint8Array }[]): Uint8Array => {
    const frame = outputs.find((output) => output.type === 'send')?.frame
    assert.ok(frame !== undefined)
    frames.push(toHex(frame))
    return frame
  }
  const join = sent(joiner.handle({ type: 'start' }, millis(0)))
  inviter.handle({ type: 'frame', frame: join }, millis(0))
  const known = { secret: invite.secret, expiresAt: invite.expiresAt, failures: 0, isRevoked: false, usedBy: 'nobody' } as const
  inviter.handle({ type: 'invite', invite: known, now: wallMillis(0) }, millis(0))
  const accepted = sent(inviter.handle({ type: 'redeemed' }, millis(0)))
  assert.equal(joiner.handle({ type: 'frame', frame: accepted }, millis(0))[0]?.type, 'paired')
  sent(joiner.handle({ type: 'saved' }, millis(0)))
  return frames
}

test('cards, invites and pairing frames are the bytes of the vector file', () => {
  if (process.env['UPDATE'] === '1') writeFileSync(file, `${JSON.stringify(produce(), undefined, 2)}\n`)
  assert.deepEqual(produce(), JSON.parse(readFileSync(file, 'utf8')))
})

test('the cards and the invite of the vector file decode', () => {
  const vectors = JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, string>>
  const publicKey = fromHex(vectors['inviterKey'] ?? '')
  assert.equal(decodeCard(fromHex(vectors['inviterCard'] ?? ''), { network, publicKey, verifier }).name, 'inviter')
  assert.deepEqual(decodeInvite(vectors['invite'] ?? '').publicKey, publicKey)
})

const word = (characters: string, maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...Array.from(characters)), minLength: 1, maxLength })
const lower = 'abcdefghijklmnopqrstuvwxyz0123456789'
const address = fc.oneof(
  fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 65_535 }), fc.boolean()).map(([ip, port, ws]) => `/ip4/${ip}/tcp/${port}${ws ? '/ws' : ''}`),
  word(lower, 40).map((host) => `/dns4/${host}/tcp/9000`)
)

test('whatever card or invite is made, it comes back as it was', () => {
  const signer = signerOf('property')
  const strings = (arbitrary: fc.Arbitrary<string>, maxLength: number): fc.Arbitrary<string[]> => fc.uniqueArray(arbitrary, { maxLength })
  const cards = fc.record({
    name: word(lower, 63),
    labels: strings(word(lower, 20), 16),
    features: strings(word(lower, 20), 16),
    addresses: strings(address, 8),
    issuedAt: fc.nat().map(wallMillis)
  })
  fc.assert(
    fc.property(cards, (fields) => {
      const card = cardOf(signer.publicKey, fields)
      assert.deepEqual(decodeCard(encodeCard(card, signer), { network, publicKey: signer.publicKey, verifier }), card)
    }),
    { seed, numRuns: 200 }
  )
  const invites = fc.record({
    network: word(lower, 40),
    publicKey: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    secret: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    expiresAt: fc.nat().map((seconds) => wallMillis(seconds * 1_000)),
    addresses: fc.array(address, { maxLength: 3 })
  })
  fc.assert(
    fc.property(invites, (invite) => {
      const text = encodeInvite(invite)
      assert.ok(text.length <= 300)
      const decoded = decodeInvite(text)
      assert.deepEqual({ ...decoded, addresses: [] }, { ...invite, addresses: [] })
      assert.deepEqual(decoded.addresses, invite.addresses.slice(0, decoded.addresses.length))
    }),
    { seed, numRuns: 500 }
  )
})
