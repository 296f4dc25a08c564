import type { Connection, Stream } from '@libp2p/interface'
import { encodeCbor } from '../../core/base/cbor.ts'
import { type ErrorCode, signingDomains, utf8 } from '../../core/base/index.ts'
import { protocolTable, type ProtocolName } from '../../mesh/protocol-table.ts'
import { systemRandom } from '../../crypto/index.ts'
import { type HostileNode, type StreamEnd, endOf, frame, push } from './hostile-node.ts'

export interface Attack {
  readonly node: HostileNode
  readonly connection: Connection
  readonly protocol: ProtocolName
  /** How long the case waits for the victim to act; over the deadlines that the victim was given. */
  readonly patienceMs: number
}

export interface HostileCase {
  readonly name: string
  /** The code that the victim has to record, one of them. */
  readonly codes: readonly ErrorCode[]
  /** How the attacker's stream has to end, one of them. */
  readonly ends: readonly StreamEnd[]
  run(attack: Attack): Promise<StreamEnd>
}

type Send = (stream: Stream, attack: Attack) => void | Promise<void>

/** A case on one stream of the protocol. */
function onStream(name: string, codes: readonly ErrorCode[], send: Send): HostileCase {
  return {
    name,
    codes,
    ends: ['reset'],
    run: async (attack) => {
      const stream = await attack.node.open(attack.connection, protocolTable[attack.protocol].id)
      await send(stream, attack)
      return endOf(stream, attack.patienceMs)
    }
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const limit: readonly ErrorCode[] = ['PROTOCOL_LIMIT']
const malformed: readonly ErrorCode[] = ['MESSAGE_MALFORMED']
const late: readonly ErrorCode[] = ['TIMEOUT']

/** What every protocol has to bear. */
const commonCases: readonly HostileCase[] = [
  onStream(
    'a frame over the cap',
    limit,
    (stream, { protocol }) => void push(stream, frame(new Uint8Array(64), protocolTable[protocol].maxFrameBytes + 1))
  ),
  onStream('a length of 2^31', limit, (stream) => void push(stream, frame(new Uint8Array(64), 2 ** 31))),
  onStream('a length of 2^32 - 1', limit, (stream) => void push(stream, frame(new Uint8Array(64), 2 ** 32 - 1))),
  onStream('an empty frame', malformed, (stream) => void push(stream, frame(new Uint8Array(0)))),
  onStream(
    'a frame of noise',
    malformed,
    (stream) => void push(stream, frame(systemRandom.bytes(300).map((byte, index) => (index === 0 ? 0xff : byte))))
  ),
  onStream('the same frame of one byte, a thousand times', ['MESSAGE_MALFORMED', 'PROTOCOL_LIMIT'], (stream) => {
    const one = frame(new Uint8Array([0xee]))
    const all = new Uint8Array(1_000 * one.length)
    for (let index = 0; index < 1_000; index++) all.set(one, index * one.length)
    push(stream, all)
  }),
  onStream('half a length and silence', late, (stream) => void push(stream, new Uint8Array([0, 0]))),
  onStream('half a frame and silence', late, (stream) => void push(stream, frame(new Uint8Array(10), 200))),
  onStream('a length that claims five bytes more', late, (stream) => void push(stream, frame(new Uint8Array(20), 25))),
  onStream('an open stream and silence', late, () => undefined),
  onStream('one byte at a time, for ever', late, async (stream, { patienceMs }) => {
    push(stream, frame(new Uint8Array(0), 4_000))
    for (let waited = 0; waited < patienceMs && stream.status === 'open'; waited += 20) {
      push(stream, new Uint8Array(1))
      await pause(20)
    }
  }),
  {
    name: 'a reset within a frame',
    codes: [],
    ends: ['reset'],
    run: async ({ node, connection, protocol, patienceMs }) => {
      const stream = await node.open(connection, protocolTable[protocol].id)
      push(stream, frame(new Uint8Array(10), 200))
      await pause(20)
      stream.abort(new Error('hostile'))
      return endOf(stream, patienceMs)
    }
  },
  {
    name: 'the end of the stream within a frame',
    codes: [],
    ends: ['reset', 'closed'],
    run: async ({ node, connection, protocol, patienceMs }) => {
      const stream = await node.open(connection, protocolTable[protocol].id)
      push(stream, frame(new Uint8Array(10), 200))
      await stream.close()
      return endOf(stream, patienceMs)
    }
  }
]

/** A card with these fields, signed by the attacker itself or by nobody. */
function cardWith({ node }: Attack, changes: Readonly<Record<number, unknown>>, isSigned = true): Uint8Array {
  const fields: unknown[] = [1, node.network, node.publicKey, 'mallory', [], [], [], 1_800_000_000_000]
  for (const [index, value] of Object.entries(changes)) fields[Number(index)] = value
  const body = encodeCbor(fields as Parameters<typeof encodeCbor>[0])
  return encodeCbor([body, isSigned ? node.signer.sign(signingDomains.card, body) : systemRandom.bytes(64)])
}

/** A card request (kind 2) that carries a card. */
const cardCase = (name: string, codes: readonly ErrorCode[], card: (attack: Attack) => Uint8Array): HostileCase =>
  onStream(name, codes, (stream, attack) => {
    const bytes = card(attack)
    const request = new Uint8Array(bytes.length + 1)
    request[0] = 2
    request.set(bytes, 1)
    push(stream, frame(request))
  })

const cardCases: readonly HostileCase[] = [
  cardCase('a card with a terminal escape for a name', malformed, (attack) => cardWith(attack, { 3: '\u001b]52;c;ZXZpbA==\u0007\u001b[2J' })),
  cardCase('a card with a bidirectional override for a name', malformed, (attack) => cardWith(attack, { 3: 'alice\u202egpj' })),
  cardCase('a card named __proto__', malformed, (attack) => cardWith(attack, { 3: '__proto__' })),
  cardCase('a card with a label of a megabyte less its frame', ['MESSAGE_MALFORMED', 'PROTOCOL_LIMIT'], (attack) =>
    cardWith(attack, { 4: ['x'.repeat(10_000)] })
  ),
  cardCase('a card of ten thousand empty labels', malformed, (attack) => cardWith(attack, { 4: Array.from({ length: 10_000 }, () => '') })),
  cardCase('a card of somebody else', ['IDENTITY_MISMATCH'], (attack) => cardWith(attack, { 2: systemRandom.bytes(32) })),
  cardCase('a card that nobody signed', ['SIGNATURE_INVALID'], (attack) => cardWith(attack, {}, false)),
  cardCase('a card of another network', ['NETWORK_MISMATCH'], (attack) => cardWith(attack, { 1: 'elsewhere' })),
  cardCase('a card of version 2', ['UNSUPPORTED_VERSION'], (attack) => cardWith(attack, { 0: 2 })),
  cardCase('CBOR nested a thousand deep', malformed, () => new Uint8Array(1_000).fill(0x81)),
  cardCase('CBOR that claims 2^32 items', malformed, () => new Uint8Array([0x9a, 0xff, 0xff, 0xff, 0xff, 0]))
]

const hello = (inviteId: Uint8Array, version = 1): Uint8Array => new Uint8Array([1, version, ...inviteId, ...systemRandom.bytes(32)])

/** A pairing may be refused with a frame and an orderly end: both are an answer. */
const pairCase = (name: string, codes: readonly ErrorCode[], frames: (attack: Attack) => readonly Uint8Array[]): HostileCase => ({
  ...onStream(name, codes, (stream, attack) => {
    for (const bytes of frames(attack)) push(stream, frame(bytes))
  }),
  ends: ['reset', 'closed']
})

const pairCases: readonly HostileCase[] = [
  pairCase('an invite that nobody gave out', ['INVITE_INVALID'], () => [hello(systemRandom.bytes(8))]),
  pairCase('a pairing of version 9', ['UNSUPPORTED_VERSION'], () => [hello(systemRandom.bytes(8), 9)]),
  pairCase('a proof before the greeting', malformed, () => [new Uint8Array([3, ...systemRandom.bytes(32), 0, 1, 0x80])]),
  pairCase('the acceptance of the other side', malformed, () => [new Uint8Array([4, ...systemRandom.bytes(32), 0, 0])]),
  pairCase('a greeting that is too short', malformed, () => [new Uint8Array([1, 1, 2, 3])]),
  pairCase('a greeting with bytes left over', malformed, () => [new Uint8Array([...hello(systemRandom.bytes(8)), 0])])
]

const messageCases: readonly HostileCase[] = [
  onStream('a batch of noise', malformed, (stream) => void push(stream, frame(new Uint8Array([1, ...systemRandom.bytes(500)])))),
  onStream('receipts of noise', malformed, (stream) => void push(stream, frame(new Uint8Array([2, ...systemRandom.bytes(500)])))),
  onStream(
    'volatile messages of noise',
    ['MESSAGE_MALFORMED', 'UNSUPPORTED_VERSION'],
    (stream) => void push(stream, frame(new Uint8Array([3, ...systemRandom.bytes(500).fill(0xff, 0, 40)])))
  ),
  onStream('a frame of the largest size with nothing in it', malformed, (stream) => {
    push(stream, frame(new Uint8Array(protocolTable.message.maxFrameBytes)))
  }),
  onStream('text where bytes are expected', malformed, (stream) => void push(stream, frame(utf8('{"__proto__":{"admin":true}}'))))
]

/** The cases of every protocol id. The registry test fails for an id that is missing here. */
export const hostileCases: Readonly<Record<ProtocolName, readonly HostileCase[]>> = {
  message: [...commonCases, ...messageCases],
  card: [...commonCases, ...cardCases],
  pair: [...commonCases, ...pairCases]
}
