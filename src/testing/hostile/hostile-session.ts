import type { Connection, Stream } from '@libp2p/interface'
import { MeshError, concat } from '../../core/base/index.ts'
import { type SessionInput, SessionMachine } from '../../core/session/index.ts'
import { createVerifier, nodeHandshakeCrypto } from '../../crypto/index.ts'
import { pairingPurpose, pairingSizes } from '../../core/peers/index.ts'
import { protocolTable } from '../../mesh/protocol-table.ts'
import { createSessionContext } from '../../mesh/session-context.ts'
import { systemClock } from '../../node/clock.ts'
import { systemTimers } from '../../node/timers.ts'
import { type HostileNode, frame, push } from './hostile-node.ts'

export interface HostileSessionOptions {
  /** Takes what the victim says inside, in pieces of any size. */
  readonly onData?: (data: Uint8Array) => void
  readonly protocol?: 'pqs' | 'pair'
}

/** An honest session with a victim, into which an attacker writes what it likes. */
export class HostileSession {
  readonly stream: Stream
  readonly #machine: SessionMachine
  readonly #onData: (data: Uint8Array) => void
  readonly #open = Promise.withResolvers<void>()
  #held = new Uint8Array(0)

  private constructor(stream: Stream, machine: SessionMachine, onData: (data: Uint8Array) => void) {
    this.stream = stream
    this.#machine = machine
    this.#onData = onData
    stream.addEventListener('message', ({ data }) => this.#receive(data.subarray()))
    stream.addEventListener('close', () =>
      this.#open.reject(new MeshError('PEER_UNREACHABLE', { peer: 'the victim', reason: 'it ended the stream' }))
    )
  }

  /** Opens a session at level 3 with the node behind `connection`, for messages or for a pairing. */
  static async open(
    node: HostileNode,
    connection: Connection,
    { onData = () => undefined, protocol = 'pqs' }: HostileSessionOptions = {}
  ): Promise<HostileSession> {
    const { network, signer } = node
    const options = { crypto: nodeHandshakeCrypto, clock: systemClock(), timers: systemTimers, network, signer, verifier: createVerifier(network) }
    const responder = connection.remotePeer
    if (responder.type !== 'Ed25519') throw new MeshError('ADDRESS_INVALID', { address: responder.toString(), reason: 'its key is not Ed25519' })
    const { tools } = createSessionContext(options)
    const machine = new SessionMachine({
      ...tools,
      role: 'initiator',
      level: 3,
      pqAuth: false,
      responder: responder.toString(),
      responderKey: responder.publicKey.raw
    })
    const session = new HostileSession(await node.open(connection, protocolTable[protocol].id), machine, onData)
    session.#input({ type: 'start' })
    await session.#open.promise
    return session
  }

  /** Seals bytes that need not be frames, in records of at most 60,000 bytes. */
  push(bytes: Uint8Array): void {
    for (let start = 0; start < bytes.length; start += 60_000) this.#input({ type: 'send', data: bytes.subarray(start, start + 60_000) })
  }

  /** What a proof of an invite is bound to. */
  get binding(): Uint8Array {
    return this.#machine.exportSecret(pairingPurpose, new Uint8Array(0), pairingSizes.binding)
  }

  /** Says that nothing more comes, as an honest peer does at its end. */
  end(): void {
    this.#input({ type: 'end' })
  }

  #input(input: SessionInput): void {
    for (const output of this.#machine.handle(input, systemClock().monotonic())) {
      if (output.type === 'send') push(this.stream, frame(concat(...[output.frame].flat())))
      else if (output.type === 'data') this.#onData(output.data)
      else if (output.type === 'established') this.#open.resolve()
      else if (output.type === 'failed') this.#open.reject(output.error)
    }
  }

  #receive(bytes: Uint8Array): void {
    this.#held = new Uint8Array([...this.#held, ...bytes])
    for (;;) {
      if (this.#held.length < 4) return
      const end = 4 + new DataView(this.#held.buffer).getUint32(0)
      if (this.#held.length < end) return
      const whole = this.#held.slice(4, end)
      this.#held = this.#held.slice(end)
      this.#input({ type: 'frame', frame: whole })
    }
  }
}
