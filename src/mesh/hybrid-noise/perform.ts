import type { AbortOptions, MessageStream, PeerId } from '@libp2p/interface'
import { type HandshakeCrypto, MeshError } from '../../core/base/index.ts'
import {
  NoiseHandshake,
  type NoiseExtensions,
  type NoiseSuite,
  type ProtectionLevel,
  bestLevel,
  expectBestSuite,
  payloadLimits
} from '../../core/noise/index.ts'
import { handshakeError } from './failures.ts'
import { FrameChannel } from './frame-channel.ts'
import { type ProvedIdentity, type SignedStatic, type VerifyEd25519, proveIdentity } from './identity.ts'
import type { PeerMemory } from './peer-memory.ts'
import { RecordStream } from './record-stream.ts'

const none = new Uint8Array(0)
/** A handshake that is given no signal ends after this. */
const defaultDeadlineMs = 10_000
/** How long the initiator leaves a connection open that it has given up, so that the responder can read why. */
const farewellMs = 1_000

export interface HandshakeSetup {
  readonly suite: NoiseSuite
  readonly crypto: HandshakeCrypto
  readonly verifyEd25519: VerifyEd25519
  readonly allocate: (bytes: number) => Uint8Array
  readonly gatherWrites: (connection: MessageStream) => boolean
  readonly memory: PeerMemory
  readonly identity: SignedStatic
  /** Our payload of message B or C. */
  readonly payload: Uint8Array
  /** Every protocol id that we offer. */
  readonly offers: readonly string[]
}

export interface HandshakeTarget extends AbortOptions {
  readonly connection: MessageStream
  /** Whom we called; undefined when nobody is named. */
  readonly expected: PeerId | undefined
}

export interface HandshakeResult {
  readonly connection: MessageStream
  readonly remotePeer: PeerId
  readonly extensions: NoiseExtensions
}

/** A, B and C as the one who calls. @throws {MeshError} HANDSHAKE_FAILED, IDENTITY_MISMATCH, DOWNGRADE_DETECTED */
export async function initiate(setup: HandshakeSetup, target: HandshakeTarget): Promise<HandshakeResult> {
  const { suite, crypto, identity } = setup
  const channel = channelOf(target)
  const handshake = new NoiseHandshake({ suite, role: 'initiator', crypto, staticKey: identity.key })
  try {
    await channel.write(handshake.writeMessage(none))
    const proved = await readIdentity({ setup, target, channel, handshake })
    const offered = offersVerdict(setup, proved, 'initiator')
    if (offered === undefined) remember(setup, proved, true)
    await channel.write(handshake.writeMessage(setup.payload))
    if (offered !== undefined) {
      // Message C carries our list: the responder finds the same, and ends the connection.
      await channel.ended(farewellMs)
      throw offered
    }
    return finish({ setup, target, channel, handshake, proved })
  } finally {
    handshake.wipe()
  }
}

/** A, B and C as the one who is called. @throws {MeshError} HANDSHAKE_FAILED, IDENTITY_MISMATCH, DOWNGRADE_DETECTED */
export async function respond(setup: HandshakeSetup, target: HandshakeTarget): Promise<HandshakeResult> {
  const { suite, crypto, identity } = setup
  const channel = channelOf(target)
  const handshake = new NoiseHandshake({ suite, role: 'responder', crypto, staticKey: identity.key })
  try {
    const length = handshake.nextMessageBytes
    handshake.readMessage(await channel.read({ min: length, max: length }))
    await channel.write(handshake.writeMessage(setup.payload))
    const proved = await readIdentity({ setup, target, channel, handshake })
    const offered = offersVerdict(setup, proved, 'responder')
    if (offered !== undefined) throw offered
    remember(setup, proved, false)
    return finish({ setup, target, channel, handshake, proved })
  } finally {
    handshake.wipe()
  }
}

const channelOf = ({ connection, signal }: HandshakeTarget): FrameChannel =>
  new FrameChannel(connection, signal ?? AbortSignal.timeout(defaultDeadlineMs))

interface Exchange {
  readonly setup: HandshakeSetup
  readonly target: HandshakeTarget
  readonly channel: FrameChannel
  readonly handshake: NoiseHandshake
}

async function readIdentity({ setup, target, channel, handshake }: Exchange): Promise<ProvedIdentity> {
  const min = handshake.nextMessageBytes
  const { payload } = handshake.readMessage(await channel.read({ min, max: min + payloadLimits.payloadBytes }))
  const remoteStatic = handshake.remoteStatic
  if (remoteStatic === undefined) throw handshakeError('internal')
  return proveIdentity({ payload, remoteStatic, expected: target.expected, verifyEd25519: setup.verifyEd25519 })
}

/** The error when both authenticated lists have something better than what ran. */
function offersVerdict({ suite, offers }: HandshakeSetup, { peer, payload }: ProvedIdentity, role: 'initiator' | 'responder'): MeshError | undefined {
  const theirs = payload.extensions.offers
  const [initiator, responder] = role === 'initiator' ? [offers, theirs] : [theirs, offers]
  try {
    expectBestSuite({ initiator, responder, actual: suite, peer: peer.toString() })
    return undefined
  } catch (error) {
    if (error instanceof MeshError) return error
    throw error
  }
}

/** Compares with what the peer could before, then keeps the best. @throws {MeshError} DOWNGRADE_DETECTED with reason `memory` */
function remember({ suite, offers, memory }: HandshakeSetup, { peer, payload }: ProvedIdentity, wasDialled: boolean): void {
  const peerId = peer.toString()
  const known = memory.load(peerId)
  const actual: ProtectionLevel = suite.kem ?? 0
  const expected = bestLevel(offers, known?.level ?? 0)
  if (actual < expected)
    throw new MeshError('DOWNGRADE_DETECTED', { reason: 'memory', peer: peerId, best: `ML-KEM level ${expected}`, actual: suite.protocol })
  // What it lists and we do not have would be held against it in the next handshake.
  const common = payload.extensions.offers.filter((offer) => offers.includes(offer))
  const level = highest(known?.level ?? 0, actual, bestLevel(common))
  if (level > 0 && (level !== known?.level || (wasDialled && !known.wasDialled)))
    memory.store(peerId, { level, wasDialled: wasDialled || known?.wasDialled === true })
}

function highest(...levels: readonly ProtectionLevel[]): ProtectionLevel {
  let best: ProtectionLevel = 0
  for (const level of levels) if (level > best) best = level
  return best
}

interface Finished extends Exchange {
  readonly proved: ProvedIdentity
}

function finish({ setup, target, channel, handshake, proved }: Finished): HandshakeResult {
  const { crypto, allocate, gatherWrites } = setup
  const { connection: below } = target
  const keys = handshake.split()
  const [send, receive] = [crypto.aead(keys.send), crypto.aead(keys.receive)]
  const connection = new RecordStream(below, { send, receive, rest: channel.rest(), allocate, sendsPieces: gatherWrites(below) })
  keys.send.fill(0)
  keys.receive.fill(0)
  return { connection, remotePeer: proved.peer, extensions: proved.payload.extensions }
}
