import type { Connection, Stream } from '@libp2p/interface'
import { type CborValue, encodeCbor } from '../../core/base/cbor.ts'
import { type ErrorCode, signingDomains, utf8 } from '../../core/base/index.ts'
import { type Cell, cellCommands, cellSizes, encodeCells, encodeDirectoryFrame, proveLink } from '../../core/onion/index.ts'
import { type FrameLimits, messageFrames, pairingFrames, protocolTable, type ProtocolName } from '../../mesh/protocol-table.ts'
import { systemRandom } from '../../crypto/index.ts'
import { type HostileNode, type StreamEnd, endOf, frame, push } from './hostile-node.ts'
import { HostileSession } from './hostile-session.ts'

/** What is attacked: a protocol id of the table, or the frames of messages or of a pairing inside of a session. */
export type Target = ProtocolName | 'message' | 'pairing'

export interface Attack {
  readonly node: HostileNode
  readonly connection: Connection
  readonly target: Target
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

/** Where an attacker writes: a stream, or a session over one. */
interface Line {
  readonly stream: Stream
  push(bytes: Uint8Array): void
}

type Send = (line: Line, attack: Attack) => void | Promise<void>

async function openLine({ node, connection, target }: Attack): Promise<Line> {
  if (target === 'message') return HostileSession.open(node, connection)
  if (target === 'pairing') return HostileSession.open(node, connection, { protocol: 'pair' })
  const stream = await node.open(connection, protocolTable[target].id)
  return { stream, push: (bytes) => void push(stream, bytes) }
}

const limitsOf = (target: Target): FrameLimits =>
  target === 'message' ? messageFrames : target === 'pairing' ? pairingFrames : protocolTable[target]

/** A case on one line to the target. */
function onStream(name: string, codes: readonly ErrorCode[], send: Send): HostileCase {
  return {
    name,
    codes,
    ends: ['reset'],
    run: async (attack) => {
      const line = await openLine(attack)
      await send(line, attack)
      return endOf(line.stream, attack.patienceMs)
    }
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const limit: readonly ErrorCode[] = ['PROTOCOL_LIMIT']
const malformed: readonly ErrorCode[] = ['MESSAGE_MALFORMED']
const late: readonly ErrorCode[] = ['TIMEOUT']
const refused: readonly ErrorCode[] = ['MESSAGE_MALFORMED', 'UNSUPPORTED_VERSION', 'HANDSHAKE_FAILED', 'NETWORK_MISMATCH']

/** What every protocol has to bear. */
const commonCases: readonly HostileCase[] = [
  onStream('a frame over the cap', limit, (line, { target }) => line.push(frame(new Uint8Array(64), limitsOf(target).maxFrameBytes + 1))),
  onStream('a length of 2^31', limit, (line) => line.push(frame(new Uint8Array(64), 2 ** 31))),
  onStream('a length of 2^32 - 1', limit, (line) => line.push(frame(new Uint8Array(64), 2 ** 32 - 1))),
  onStream('an empty frame', malformed, (line) => line.push(frame(new Uint8Array(0)))),
  onStream('a frame of noise', malformed, (line) => line.push(frame(systemRandom.bytes(300).map((byte, index) => (index === 0 ? 0xff : byte))))),
  onStream('the same frame of one byte, a thousand times', ['MESSAGE_MALFORMED', 'PROTOCOL_LIMIT'], (line) => {
    const one = frame(new Uint8Array([0xee]))
    const all = new Uint8Array(1_000 * one.length)
    for (let index = 0; index < 1_000; index++) all.set(one, index * one.length)
    line.push(all)
  }),
  onStream('half a length and silence', late, (line) => line.push(new Uint8Array([0, 0]))),
  onStream('half a frame and silence', late, (line) => line.push(frame(new Uint8Array(10), 200))),
  onStream('a length that claims five bytes more', late, (line) => line.push(frame(new Uint8Array(20), 25))),
  onStream('one byte at a time, for ever', late, async (line, { patienceMs }) => {
    line.push(frame(new Uint8Array(0), 4_000))
    for (let waited = 0; waited < patienceMs && line.stream.status === 'open'; waited += 20) {
      line.push(new Uint8Array(1))
      await pause(20)
    }
  }),
  {
    name: 'a reset within a frame',
    codes: [],
    ends: ['reset'],
    run: async (attack) => {
      const line = await openLine(attack)
      line.push(frame(new Uint8Array(10), 200))
      await pause(20)
      line.stream.abort(new Error('hostile'))
      return endOf(line.stream, attack.patienceMs)
    }
  },
  {
    name: 'the end of the stream within a frame',
    codes: [],
    ends: ['reset', 'closed'],
    run: async (attack) => {
      const line = await openLine(attack)
      line.push(frame(new Uint8Array(10), 200))
      // A victim that resets it meanwhile has given its answer.
      await line.stream.close().catch(() => undefined)
      return endOf(line.stream, attack.patienceMs)
    }
  }
]

/** A session may be silent for hours; a stream that has said nothing yet may not. */
const silentStream = onStream('an open stream and silence', late, () => undefined)

/** A card with these fields, signed by the attacker itself or by nobody. */
function cardWith({ node }: Attack, changes: Readonly<Record<number, unknown>>, isSigned = true): Uint8Array {
  const fields: unknown[] = [1, node.network, node.publicKey, 'mallory', [], [], [], 1_800_000_000_000]
  for (const [index, value] of Object.entries(changes)) fields[Number(index)] = value
  const body = encodeCbor(fields as Parameters<typeof encodeCbor>[0])
  return encodeCbor([body, isSigned ? node.signer.sign(signingDomains.card, body) : systemRandom.bytes(64)])
}

/** A card request (kind 2) that carries a card. */
const cardCase = (name: string, codes: readonly ErrorCode[], card: (attack: Attack) => Uint8Array): HostileCase =>
  onStream(name, codes, (line, attack) => {
    const bytes = card(attack)
    const request = new Uint8Array(bytes.length + 1)
    request[0] = 2
    request.set(bytes, 1)
    line.push(frame(request))
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

/** An invite id, a proof of noise and a card of one byte. */
const joinFrame = (version = 2): Uint8Array => new Uint8Array([1, version, ...systemRandom.bytes(8 + 32), 0, 1, 0x80])

/** A pairing may be refused with a frame and an orderly end: both are an answer. */
const pairCase = (name: string, codes: readonly ErrorCode[], frames: (attack: Attack) => readonly Uint8Array[]): HostileCase => ({
  ...onStream(name, codes, (line, attack) => {
    for (const bytes of frames(attack)) line.push(frame(bytes))
  }),
  ends: ['reset', 'closed']
})

const pairingCases: readonly HostileCase[] = [
  pairCase('an invite that nobody gave out', ['INVITE_INVALID'], () => [joinFrame()]),
  pairCase('a pairing of version 1', ['UNSUPPORTED_VERSION'], () => [joinFrame(1)]),
  pairCase('the acceptance of the other side', malformed, () => [new Uint8Array([2, ...systemRandom.bytes(32), 0, 0])]),
  pairCase('that the peer is known', malformed, () => [new Uint8Array([3, 0, 1, 0x80])]),
  pairCase('the end before the beginning', malformed, () => [new Uint8Array([5])]),
  pairCase('a refusal', malformed, () => [new Uint8Array([4, 0])]),
  pairCase('a greeting that is too short', malformed, () => [joinFrame().subarray(0, 20)]),
  pairCase('a greeting with bytes left over', malformed, () => [new Uint8Array([...joinFrame(), 0])]),
  onStream('a session and silence', late, () => undefined)
]

const messageCases: readonly HostileCase[] = [
  onStream('a batch of noise', malformed, (line) => line.push(frame(new Uint8Array([1, ...systemRandom.bytes(500)])))),
  onStream('receipts of noise', malformed, (line) => line.push(frame(new Uint8Array([2, ...systemRandom.bytes(500)])))),
  onStream('volatile messages of noise', ['MESSAGE_MALFORMED', 'UNSUPPORTED_VERSION'], (line) =>
    line.push(frame(new Uint8Array([3, ...systemRandom.bytes(500).fill(0xff, 0, 40)])))
  ),
  onStream('a frame of the largest size with nothing in it', malformed, (line) => {
    line.push(frame(new Uint8Array(messageFrames.maxFrameBytes)))
  }),
  onStream('text where bytes are expected', malformed, (line) => line.push(frame(utf8('{"__proto__":{"admin":true}}'))))
]

/** The first frame of a session: a version, a level, a suite that nobody has; or a record where a greeting should be. */
const sessionCases: readonly HostileCase[] = [
  onStream('a first frame of noise', refused, (line) => line.push(frame(systemRandom.bytes(1_300)))),
  onStream('a first frame of the largest size', refused, (line, { target }) => line.push(frame(systemRandom.bytes(limitsOf(target).maxFrameBytes)))),
  onStream('text where a session is expected', refused, (line) => line.push(frame(utf8('{"__proto__":{"admin":true}}'))))
]

/** A frame of the protocol `nat`, whatever its fields. */
const natCase = (name: string, codes: readonly ErrorCode[], fields: Parameters<typeof encodeCbor>[0]): HostileCase =>
  onStream(name, codes, (line) => line.push(frame(encodeCbor(fields))))

const natHello: readonly CborValue[] = [1, 1, 0, 0, 0, 0, null, 0, true, [], true, true]

const natCases: readonly HostileCase[] = [
  natCase('a hello of version 9', ['UNSUPPORTED_VERSION'], natHello.with(1, 9)),
  natCase('a hello of a NAT class that does not exist', malformed, natHello.with(2, 4_294_967_295)),
  natCase('a hello with a terminal escape for a public address', malformed, natHello.with(6, '\u001b[2J')),
  natCase('a hello with fifty mapped addresses', malformed, natHello.with(9, Array(50).fill('/ip4/11.77.1.2/tcp/9'))),
  natCase('a dial-back to a name', malformed, [2, '/dns4/victim.example/tcp/9000']),
  natCase('a dial-back over a circuit', malformed, [2, '/ip4/11.77.1.2/tcp/9/p2p-circuit']),
  natCase('a dial-back to an octal address', malformed, [2, '/ip4/0177.0.0.1/tcp/9000']),
  natCase('a reversal to more addresses than may be', malformed, [3, Array.from({ length: 9 }, (_, host) => `/ip4/11.77.1.${host}/tcp/9000`)]),
  natCase('an answer that nobody asked for', malformed, [4, 0]),
  onStream('a frame of CBOR nested a thousand deep', malformed, (line) => line.push(frame(new Uint8Array(1_000).fill(0x81))))
]

const iceCredentials = (fragment = 'aaaa'): readonly number[] => [4, ...utf8(fragment), 22, ...utf8('p'.repeat(22)), ...systemRandom.bytes(32)]
const iceOffer = (policy = 0, version = 1): readonly number[] => [1, version, policy, 0, ...iceCredentials()]
const iceCandidate = (address: readonly number[], port = 9): readonly number[] => [
  3,
  0,
  0x7e,
  0,
  0,
  0xff,
  address.length,
  ...address,
  port >> 8,
  port & 255
]

/** Frames of the protocol `ice`, one after the other. */
const iceCase = (name: string, codes: readonly ErrorCode[], frames: () => readonly (readonly number[])[]): HostileCase =>
  onStream(name, codes, (line) => {
    for (const bytes of frames()) line.push(frame(Uint8Array.from(bytes)))
  })

const iceCases: readonly HostileCase[] = [
  iceCase('an offer of version 9', ['UNSUPPORTED_VERSION'], () => [iceOffer(0, 9)]),
  iceCase('an offer of a policy that does not exist', malformed, () => [iceOffer(200)]),
  iceCase('an offer with a line break in its credentials', malformed, () => [[1, 1, 0, 0, ...iceCredentials('a\r\nb')]]),
  iceCase('an offer with bytes left over', malformed, () => [[...iceOffer(), 0]]),
  iceCase('an answer that nobody asked for', malformed, () => [[2, 0, ...iceCredentials()]]),
  iceCase('a candidate before the offer', malformed, () => [iceCandidate([11, 77, 1, 2])]),
  iceCase('two offers', malformed, () => [iceOffer(), iceOffer()]),
  iceCase('a candidate at port 0', malformed, () => [iceOffer(), iceCandidate([11, 77, 1, 2], 0)]),
  iceCase('an IPv4 address in the form of IPv6', malformed, () => [iceOffer(), iceCandidate([...new Uint8Array(10), 255, 255, 11, 77, 1, 2])]),
  iceCase('more addresses to try than may be', limit, () => [iceOffer(), ...Array.from({ length: 17 }, (_, host) => iceCandidate([11, 77, 1, host]))])
]

const cell = (changes: Partial<Cell> = {}): Cell => ({
  circuit: 1,
  command: cellCommands.relay,
  body: systemRandom.bytes(cellSizes.body),
  ...changes
})
const ofLink = (body: Uint8Array): Cell => cell({ circuit: 0, command: cellCommands.link, body })

/** A frame of these cells, in which some bytes are others. */
function cellsWith(cells: readonly Cell[], changes: Readonly<Record<number, number>> = {}): Uint8Array {
  const bytes = encodeCells(cells)
  for (const [offset, byte] of Object.entries(changes)) bytes[Number(offset)] = byte
  return bytes
}

/** The first frames of a link, each of whole cells. */
const linkCase = (name: string, codes: readonly ErrorCode[], frames: (attack: Attack) => readonly Uint8Array[]): HostileCase =>
  onStream(name, codes, (line, attack) => {
    for (const bytes of frames(attack)) line.push(frame(bytes))
  })

/** A proof that the attacker is a relay: it has the victim's key wrong, or the time. */
function linkProof({ node, connection }: Attack, changes: { readonly acceptor?: Uint8Array; readonly now?: number } = {}): Uint8Array {
  const { remotePeer } = connection
  if (remotePeer.type !== 'Ed25519') return new Uint8Array(cellSizes.body)
  return proveLink(node.signer, { linkKey: node.publicKey, acceptor: remotePeer.publicKey.raw, now: Date.now(), ...changes })
}

const onionCases: readonly HostileCase[] = [
  linkCase('a command that does not exist', malformed, () => [cellsWith([cell()], { 4: 99 })]),
  linkCase('a header byte that is not zero', malformed, () => [cellsWith([cell()], { 6: 1 })]),
  linkCase('a CREATE for the circuit 0', malformed, () => [cellsWith([cell({ command: cellCommands.create })], { 3: 0 })]),
  linkCase('a PADDING of a circuit', malformed, () => [cellsWith([cell({ command: cellCommands.padding })])]),
  linkCase('a cell and a half', malformed, () => [cellsWith([cell(), cell()]).subarray(0, 1.5 * cellSizes.cell)]),
  linkCase('sixty-four cells in a frame', limit, () => [new Uint8Array(64 * cellSizes.cell)]),
  linkCase('noise after an orderly cell', malformed, () => [cellsWith([cell()]), systemRandom.bytes(cellSizes.cell).fill(0xff, 0, 8)]),
  linkCase('CREATED from who opened the link', ['CIRCUIT_VIOLATION'], () => [cellsWith([cell(), cell({ command: cellCommands.created })])]),
  linkCase('a proof of an identity after the first cell', ['CIRCUIT_VIOLATION'], (attack) => [cellsWith([cell(), ofLink(linkProof(attack))])]),
  linkCase('a proof that was signed for another node', ['SIGNATURE_INVALID'], (attack) => [
    cellsWith([ofLink(linkProof(attack, { acceptor: systemRandom.bytes(32) }))])
  ]),
  linkCase('a proof of yesterday', ['CIRCUIT_VIOLATION'], (attack) => [cellsWith([ofLink(linkProof(attack, { now: Date.now() - 86_400_000 }))])]),
  linkCase('a proof with bytes behind it', malformed, (attack) => [cellsWith([ofLink(linkProof(attack).fill(1, -1))])])
]

/** Frames of the protocol `onionDirectory`. */
const directoryCase = (name: string, codes: readonly ErrorCode[], frames: () => readonly Uint8Array[]): HostileCase => linkCase(name, codes, frames)

const ask = (): Uint8Array => encodeDirectoryFrame({ kind: 'ask' })
const want = (buckets: readonly number[], ids: readonly Uint8Array[] = []): Uint8Array => encodeDirectoryFrame({ kind: 'want', buckets, ids })

const directoryCases: readonly HostileCase[] = [
  directoryCase('a frame of a kind that does not exist', malformed, () => [new Uint8Array([9])]),
  directoryCase('a question with bytes left over', malformed, () => [new Uint8Array([...ask(), 0])]),
  directoryCase('a wish for no bucket', malformed, () => [want([])]),
  directoryCase('a wish with more ids than may be', malformed, () => [want([0], Array<Uint8Array>(8_001).fill(new Uint8Array(8)))]),
  directoryCase('a bucket that is asked for twice', limit, () => [ask(), want([7]), want([7])]),
  directoryCase('a summary that nobody asked for', malformed, () => [
    encodeDirectoryFrame({ kind: 'summary', count: 8_192, digests: systemRandom.bytes(2_048) })
  ]),
  directoryCase('descriptors that nobody asked for', malformed, () => [
    encodeDirectoryFrame({ kind: 'descriptors', descriptors: [systemRandom.bytes(500)] })
  ]),
  directoryCase('the end of an answer that nobody asked for', malformed, () => [encodeDirectoryFrame({ kind: 'done', unknown: [] })])
]

/** The cases of every protocol id, and of the frames inside of sessions. The registry test fails for an id that is missing here. */
export const hostileCases: Readonly<Record<Target, readonly HostileCase[]>> = {
  pqs: [...commonCases, silentStream, ...sessionCases],
  message: [...commonCases, ...messageCases],
  card: [...commonCases, silentStream, ...cardCases],
  pair: [...commonCases, silentStream, ...sessionCases],
  pairing: [...commonCases, ...pairingCases],
  nat: [...commonCases, silentStream, ...natCases],
  ice: [...commonCases, silentStream, ...iceCases],
  onion: [...commonCases, silentStream, ...onionCases],
  onionDirectory: [...commonCases, silentStream, ...directoryCases]
}
