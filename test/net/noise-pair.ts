import { generateKeyPair } from '@libp2p/crypto/keys'
import type { ConnectionEncrypter, MessageStream, MultiaddrConnection, PeerId, PrivateKey, SecuredConnection } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { type HandshakeFailure, type HybridNoiseComponents, type HybridNoiseOptions, hybridNoise } from '../../src/node/noise.ts'

/** The protocol ids of the suites. */
export const hybridId = '/noise-mlkem768-hfs/0.2.0'
export const classicalId = '/noise'

/** What one peer has: an identity, encrypters, and the failures that it was told of. */
export interface NoiseSide {
  readonly peerId: PeerId
  readonly encrypters: ReadonlyMap<string, ConnectionEncrypter>
  readonly failures: HandshakeFailure[]
}

type Factory = (components: HybridNoiseComponents) => ConnectionEncrypter

async function sideOf(factories: readonly Factory[], failures: HandshakeFailure[], privateKey: PrivateKey): Promise<NoiseSide> {
  const [{ log }] = multiaddrConnectionPair()
  // An encrypter asks the rest of libp2p for the muxers, and nothing else.
  const parts = { privateKey, logger: { forComponent: () => log }, upgrader: { getStreamMuxers: () => new Map() } } as never as HybridNoiseComponents
  const encrypters = new Map(factories.map((factory) => factory(parts)).map((encrypter) => [encrypter.protocol, encrypter]))
  return { peerId: peerIdFromPrivateKey(privateKey), encrypters, failures }
}

export const newKey = (): Promise<PrivateKey> => generateKeyPair('Ed25519')

/** A side with our encrypters. */
export async function ourSide(options: HybridNoiseOptions = {}, key?: PrivateKey): Promise<NoiseSide> {
  const failures: HandshakeFailure[] = []
  return sideOf(hybridNoise({ onFailure: (failure) => failures.push(failure), ...options }), failures, key ?? (await newKey()))
}

/** A side with libp2p's own. */
export const stockSide = async (key?: PrivateKey): Promise<NoiseSide> =>
  sideOf([(components) => noise()(components as never)], [], key ?? (await newKey()))

export type Tamper = (frame: Uint8Array, number: number) => Uint8Array

export interface Meeting {
  readonly protocol: string
  /** Changes what the initiator, or the responder, sends: the n-th frame, from 0. */
  readonly fromInitiator?: Tamper
  readonly fromResponder?: Tamper
  /** Whom the initiator calls; the responder by default. */
  readonly expected?: PeerId
  readonly deadlineMs?: number
}

type Outcome = PromiseSettledResult<SecuredConnection>

/** One handshake in memory. Whoever fails ends the connection, as libp2p does. */
export async function meet(initiator: NoiseSide, responder: NoiseSide, meeting: Meeting): Promise<readonly [Outcome, Outcome]> {
  const [near, far] = multiaddrConnectionPair()
  tamperWith(near, meeting.fromInitiator)
  tamperWith(far, meeting.fromResponder)
  const signal = AbortSignal.timeout(meeting.deadlineMs ?? 20_000)
  const expected = meeting.expected ?? responder.peerId
  const ends = [
    ending(near, encrypterOf(initiator, meeting).secureOutbound(near, { remotePeer: expected, signal })),
    ending(far, encrypterOf(responder, meeting).secureInbound(far, { signal }))
  ] as const
  return Promise.all([settled(ends[0]), settled(ends[1])])
}

/** Both ends of a handshake that must succeed. */
export async function joined(initiator: NoiseSide, responder: NoiseSide, protocol: string): Promise<readonly [MessageStream, MessageStream]> {
  const [near, far] = await meet(initiator, responder, { protocol })
  if (near.status === 'rejected') throw near.reason
  if (far.status === 'rejected') throw far.reason
  return [near.value.connection, far.value.connection]
}

const settled = async (work: Promise<SecuredConnection>): Promise<Outcome> => {
  const [outcome] = await Promise.allSettled([work])
  return outcome
}

function encrypterOf(side: NoiseSide, { protocol }: Meeting): ConnectionEncrypter {
  const encrypter = side.encrypters.get(protocol)
  if (encrypter === undefined) throw new Error(`no ${protocol} here`)
  return encrypter
}

async function ending(connection: MultiaddrConnection, work: Promise<SecuredConnection>): Promise<SecuredConnection> {
  try {
    return await work
  } catch (error) {
    connection.abort(error as Error)
    throw error
  }
}

function tamperWith(connection: MultiaddrConnection, tamper: Tamper | undefined): void {
  if (tamper === undefined) return
  const send = connection.send.bind(connection)
  let number = 0
  connection.send = (data) => send(tamper(data.subarray().slice(), number++))
}
