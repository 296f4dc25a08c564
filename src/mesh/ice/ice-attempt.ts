import type { MeshError } from '../../core/base/index.ts'
import {
  type AddressScope,
  type DtlsRole,
  type IceNat,
  encodeIceFrame,
  type IceCandidate,
  type IceCredentials,
  type IcePolicy,
  type IceRefusal,
  IceRunMachine,
  type IceRunInput,
  type IceRunOutput,
  type IceTally
} from '../../core/nat/index.ts'
import { Driver } from '../drive.ts'
import type { FrameStream } from '../frame-stream.ts'
import type { Platform } from '../ports.ts'
import type { IceAgent, IceAgentEvent, IceAgentOptions, IceChannel, IcePort } from './ice-port.ts'

export interface IceAttemptOptions {
  readonly stream: FrameStream
  /** undefined for the side that is asked. */
  readonly policy: IcePolicy | undefined
  /** Addresses of the peer to try, and own ones to tell it. */
  readonly scopes: readonly AddressScope[]
  readonly tells: readonly AddressScope[]
  readonly nat: IceNat
  readonly port: Pick<IcePort, 'createAgent'>
  readonly platform: Pick<Platform, 'clock' | 'timers'>
  /** What the agent may use under a policy. */
  readonly means: (policy: IcePolicy) => Pick<IceAgentOptions, 'stun' | 'turn' | 'isRelayOnly' | 'bindAddress'>
}

/** A data channel that is open, and what it goes over. */
export interface OpenedChannel {
  readonly agent: IceAgent
  readonly channel: IceChannel
  readonly policy: IcePolicy
  /** Candidates that the peer told. */
  readonly told: readonly IceCandidate[]
  /** Resolves when ICE has made its final choice, or has failed. */
  readonly settled: Promise<void>
}

/** One ICE run over one signalling stream: carries out what the machine says. */
export class IceAttempt {
  readonly #options: IceAttemptOptions
  readonly #machine: IceRunMachine
  readonly #driver: Driver<IceRunInput, IceRunOutput>
  readonly #done = Promise.withResolvers<OpenedChannel>()
  readonly #settled = Promise.withResolvers<void>()
  #agent: IceAgent | undefined
  #channel: IceChannel | undefined
  #heard: IceRefusal | undefined
  #policy: IcePolicy | undefined
  #isOver = false

  constructor(options: IceAttemptOptions) {
    this.#options = options
    this.#policy = options.policy
    const { stream, policy, scopes, tells, nat, platform } = options
    this.#machine = new IceRunMachine({ peer: stream.peerId, policy, scopes, tells, nat })
    this.#driver = new Driver(this.#machine, { ...platform, perform: (output) => this.#perform(output) })
    // Nobody may be waiting yet when it ends.
    this.#done.promise.catch(() => undefined)
  }

  /** What the peer said, when that ended the run. */
  get heard(): IceRefusal | undefined {
    return this.#heard
  }

  /** Of the offer, once there is one. */
  get policy(): IcePolicy | undefined {
    return this.#policy
  }

  get tally(): IceTally {
    return this.#machine.tally
  }

  /** Resolves with the open channel. Closing the stream is the caller's. @throws {MeshError} ICE_FAILED, MESSAGE_MALFORMED, PROTOCOL_LIMIT, or what `end` was given */
  run(): Promise<OpenedChannel> {
    if (this.#options.policy !== undefined) this.#begin(this.#options.policy)
    void this.#read()
    return this.#done.promise
  }

  /** Ends it before its time; the peer is told `refusal`. */
  end(error: MeshError, refusal: IceRefusal): void {
    if (this.#isOver) return
    this.#send(encodeIceFrame({ kind: 'ended', refusal }))
    this.#fail(error)
  }

  async #read(): Promise<void> {
    try {
      for await (const frame of this.#options.stream.frames()) this.#driver.input({ type: 'frame', frame })
    } catch {
      // The stream recorded what was wrong with it.
    }
    this.#driver.input({ type: 'stream-ended' })
  }

  #perform(output: IceRunOutput): void {
    switch (output.type) {
      case 'send':
        return this.#send(output.frame)
      case 'offered':
        return this.#begin(output.policy, output)
      case 'answered':
        return this.#agent?.answer(output.credentials, output.dtls)
      case 'check':
        return this.#agent?.check(output.candidate)
      case 'connected':
        return this.#connected()
      case 'failed':
        this.#heard = output.heard
        return this.#fail(output.error)
      default:
        return output satisfies never
    }
  }

  #begin(policy: IcePolicy, offered?: { readonly credentials: IceCredentials; readonly dtls: DtlsRole }): void {
    const { port, means } = this.#options
    this.#policy = policy
    this.#agent = port.createAgent({
      ...means(policy),
      offer: offered?.credentials,
      dtls: offered?.dtls ?? 'client',
      onEvent: (event) => this.#heardOfAgent(event)
    })
  }

  #heardOfAgent(event: IceAgentEvent): void {
    if (event.type === 'open') this.#channel = event.channel
    if (event.type === 'settled' || event.type === 'failed') this.#settled.resolve()
    if (event.type !== 'settled') this.#driver.input(event.type === 'failed' ? { type: 'agent-failed' } : event)
  }

  #connected(): void {
    this.#isOver = true
    this.#driver.stop()
    const [agent, channel, policy] = [this.#agent, this.#channel, this.#policy]
    if (agent !== undefined && channel !== undefined && policy !== undefined)
      this.#done.resolve({ agent, channel, policy, told: this.tally.told, settled: this.#settled.promise })
  }

  #fail(error: MeshError): void {
    this.#isOver = true
    this.#driver.stop()
    this.#agent?.close()
    this.#done.reject(error)
  }

  #send(frame: Uint8Array): void {
    // That the stream has ended is told by its reader.
    this.#options.stream.send(frame).catch(() => undefined)
  }
}
