import { wallMillis } from '../../src/core/base/index.ts'
import { type Card, decodeInvite, encodeCard, encodeInvite, type Invite, parseCard } from '../../src/core/peers/index.ts'
import { decodePairingFrame, encodePairingFrame, type PairingFrame } from '../../src/core/peers/pairing-frames.ts'
import { FrameReader } from '../../src/mesh/frame-reader.ts'
import { cardOf, network, seeded, signerOf } from '../core/peers/support.ts'
import { fuzzDecoder } from './fuzz.ts'

const signer = signerOf('fuzz')
const bytes = (length: number): Uint8Array => seeded('fuzz bytes').bytes(length)
const cards: readonly Card[] = [
  cardOf(signer.publicKey),
  cardOf(signer.publicKey, { name: '', labels: [], features: [], addresses: [] }),
  cardOf(signer.publicKey, { addresses: ['/ip4/192.0.2.1/tcp/9000', '/ip6/2001:db8::1/tcp/9001/ws', '/dns4/example.org/tcp/9000'] })
]

fuzzDecoder({ name: 'card', decode: (input) => parseCard(input), valid: cards.map((card) => encodeCard(card, signer)) })

const frames: readonly PairingFrame[] = [
  { kind: 'join', inviteId: bytes(8), proof: bytes(32), card: bytes(200) },
  { kind: 'accepted', proof: bytes(32), card: bytes(200) },
  { kind: 'known', card: bytes(200) },
  { kind: 'refused', code: 'INVITE_USED' },
  { kind: 'done' }
]

fuzzDecoder({
  name: 'pairing frame',
  decode: (input) => decodePairingFrame(input),
  encode: (value) => encodePairingFrame(value as PairingFrame),
  valid: frames.map(encodePairingFrame)
})

const invites: readonly Invite[] = [
  { network, publicKey: signer.publicKey, secret: bytes(16), expiresAt: wallMillis(1_800_000_000_000), addresses: [] },
  {
    network: 'n'.repeat(40),
    publicKey: signer.publicKey,
    secret: bytes(16),
    expiresAt: wallMillis(1_800_000_000_000),
    addresses: ['/ip4/192.0.2.1/tcp/9000', '/dns4/example.org/tcp/9000']
  },
  {
    network,
    publicKey: signer.publicKey,
    secret: bytes(16),
    expiresAt: wallMillis(1_800_000_000_000),
    addresses: ['/ip4/192.0.2.1/tcp/443/ws/p2p/12D3KooWCPSuexGXdBHD6TJTxbT5z9DhYUvHR1P7uotTPEpa92VU/p2p-circuit']
  }
]
const latin1 = new TextDecoder('latin1')
const toBytes = (text: string): Uint8Array => new TextEncoder().encode(text)

fuzzDecoder({
  name: 'invite',
  decode: (input) => decodeInvite(latin1.decode(input)),
  valid: invites.map((invite) => toBytes(encodeInvite(invite))),
  codes: ['INVITE_INVALID', 'UNSUPPORTED_VERSION']
})

/** All frames of one input, cut into chunks by its first byte. */
function readFrames(input: Uint8Array): readonly Uint8Array[] {
  const reader = new FrameReader({ protocol: 'fuzz', maxFrameBytes: 4_096 })
  const step = 1 + (input[0] ?? 0)
  const found: Uint8Array[] = []
  for (let offset = 1; offset < input.length; offset += step) {
    reader.push(input.subarray(offset, offset + step))
    while (reader.ready) found.push(reader.take())
  }
  return found
}

fuzzDecoder({
  name: 'stream of frames',
  decode: readFrames,
  valid: [new Uint8Array([7, 0, 0, 0, 1, 9, 0, 0, 0, 2, 1, 2]), new Uint8Array([0, 0, 0, 0, 3, 1, 2, 3])],
  codes: ['PROTOCOL_LIMIT', 'MESSAGE_MALFORMED']
})
