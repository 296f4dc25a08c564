import type { OutputOf, Operations } from '../../api/index.ts'
import { MeshError, toMeshError } from '../../core/base/index.ts'
import type { ConnectionInfo, Mesh, PeerInfo } from '../../mesh/mesh.ts'
import type { Context, Handler } from './context.ts'

type Report = OutputOf<Operations['trace']>
type Step = Report['steps'][number]
type StepName = Step['step']

const pings = 3
const direct = { via: 'direct' } as const
const onion = { via: 'onion' } as const

/** What a step found; it throws what it ends with. */
interface Found {
  readonly text: string
  readonly more?: readonly string[]
}

/** Goes the way to a peer: each step is told with its time, and after one that fails the rest is skipped. */
export const trace: Handler<'trace'> = async (input, { mesh, signal }) => {
  const isOnion = mesh.options.onionRouting && input.via !== 'direct'
  const walk = new Walk({ mesh, signal, wanted: input.peer, timeoutMs: input.timeoutMs })
  await walk.step('name', () => walk.resolve())
  await walk.step('addresses', () => walk.addresses(isOnion))
  await walk.step('connection', () => (isOnion ? walk.skip('messages go over circuits: no direct connection is made') : walk.connect()))
  await walk.step('encryption', () => (isOnion ? walk.skip('the last layer of the circuit, see circuit') : walk.encryption()))
  await walk.step('circuit', () => (isOnion ? walk.circuit() : walk.skip('onion_routing is off, or --via direct was said')))
  await walk.step('session', () => walk.session(isOnion))
  await walk.step('round-trip', () => (isOnion ? walk.skip('told by the circuit') : walk.roundTrip()))
  return walk.report(isOnion)
}

interface Way {
  readonly mesh: Mesh
  readonly signal: Context['signal']
  readonly wanted: string
  readonly timeoutMs: number
}

/** What a step says that does not apply. */
class Skipped {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

class Walk {
  readonly #way: Way
  readonly #steps: Step[] = []
  readonly #started = performance.now()
  #peer: PeerInfo | undefined

  constructor(way: Way) {
    this.#way = way
  }

  async step(step: StepName, work: () => Promise<Found> | Skipped): Promise<void> {
    if (this.#steps.some(({ state }) => state === 'failed')) {
      this.#steps.push({ step, state: 'skipped', ms: 0, text: 'not reached', more: [] })
      return
    }
    const started = performance.now()
    const ms = (): number => Math.round((performance.now() - started) * 10) / 10
    try {
      const found = work()
      if (found instanceof Skipped) {
        this.#steps.push({ step, state: 'skipped', ms: 0, text: found.text, more: [] })
        return
      }
      const { text, more = [] } = await found
      this.#steps.push({ step, state: 'ok', ms: ms(), text, more: [...more] })
    } catch (error) {
      if (this.#way.signal.aborted) throw error
      const report = toMeshError(error).report()
      this.#steps.push({ step, state: 'failed', ms: ms(), text: report.message, more: [], error: { ...report, next: [...report.next] } })
    }
  }

  skip(text: string): Skipped {
    return new Skipped(text)
  }

  async resolve(): Promise<Found> {
    const peer = await this.#way.mesh.peer(this.#way.wanted)
    this.#peer = peer
    const how = peer.alias === this.#way.wanted ? 'your own name for it' : peer.paired ? 'paired' : 'not paired: its name is a claim'
    return { text: `${peer.peerId} (${how})` }
  }

  async addresses(isOnion: boolean): Promise<Found> {
    const { addresses, foundBy, connected } = this.#known()
    if (addresses.length === 0 && !connected && !isOnion) return { text: 'none is known: the network is asked', more: [] }
    const by = foundBy.length === 0 ? '' : `, found by ${foundBy.join(', ')}`
    return { text: `${addresses.length} known${by}`, more: addresses }
  }

  async connect(): Promise<Found> {
    const before = await this.#connections()
    if (before.length > 0) return { text: `${before.length} open`, more: before.map(connectionText) }
    const { mesh } = this.#way
    const report = await mesh.nat(this.#name(), { ...direct, ...this.#call() })
    const tried = report.attempts.map(({ technique, ok, path, reason }) => `${technique}: ${ok ? (path ?? 'connected') : (reason ?? 'failed')}`)
    if (report.result === 'failed')
      throw new MeshError('PEER_UNREACHABLE', { peer: this.#known().name, reason: [report.reason ?? 'no way leads there', ...tried].join('; ') })
    const now = await this.#connections()
    return { text: `opened, ${report.path ?? report.result}`, more: [...tried, ...now.map(connectionText)] }
  }

  async encryption(): Promise<Found> {
    const [connection] = await this.#connections()
    if (connection === undefined) return { text: 'no connection is left to look at' }
    const { encryption, quantumLevel, multiplexer } = connection
    return { text: `${encryption}, ${quantumLevel === 0 ? 'classical' : `hybrid level ${quantumLevel}`}, ${multiplexer}` }
  }

  async circuit(): Promise<Found> {
    const { mesh } = this.#way
    const { hops, level, buildMs, rttMs, isWarm } = await mesh.circuit(this.#name(), this.#call())
    const text = `${hops} ${hops === 1 ? 'relay' : 'relays'}, level ${level}, ${isWarm ? 'a spare one, ' : ''}built in ${Math.round(buildMs)} ms`
    return { text, more: [`round trip over it ${Math.round(rttMs * 10) / 10} ms`] }
  }

  async session(isOnion: boolean): Promise<Found> {
    const { mesh } = this.#way
    const { kem, hybrid, level, authentication, handshakeMs, path } = await mesh.quantum(this.#name(), {
      ...(isOnion ? onion : direct),
      ...this.#call()
    })
    return { text: `${kem} + ${hybrid}, level ${level}, ${authentication}, handshake in ${Math.round(handshakeMs * 10) / 10} ms (${path})` }
  }

  async roundTrip(): Promise<Found> {
    const { mesh } = this.#way
    const { rttMs } = await mesh.ping(this.#name(), { count: pings, ...direct, ...this.#call() })
    return { text: rttMs.map((ms) => `${Math.round(ms * 10) / 10} ms`).join(', ') }
  }

  report(isOnion: boolean): Report {
    const steps = this.#steps
    const peer = this.#peer === undefined ? {} : { peer: { peerId: this.#peer.peerId, name: this.#peer.name } }
    const ok = steps.every(({ state }) => state !== 'failed')
    return { wanted: this.#way.wanted, ...peer, ok, onion: isOnion, steps, ms: Math.round(performance.now() - this.#started) }
  }

  #known(): PeerInfo {
    if (this.#peer === undefined) throw new MeshError('INTERNAL', { reason: 'the name was not resolved' })
    return this.#peer
  }

  /** The id once it is known: whatever else has the name, the way is to this one. An address stays what it is, as it says where to look. */
  #name(): string {
    return this.#way.wanted.startsWith('/') ? this.#way.wanted : this.#known().peerId
  }

  /** What is left of the time. */
  #call() {
    const left = this.#way.timeoutMs - (performance.now() - this.#started)
    return { signal: this.#way.signal, timeoutMs: Math.max(1, Math.round(left)) }
  }

  async #connections(): Promise<readonly ConnectionInfo[]> {
    const { connections } = await this.#way.mesh.detailedStatus()
    return connections.filter(({ peerId }) => peerId === this.#known().peerId)
  }
}

const connectionText = ({ path, direction, address }: ConnectionInfo): string => `${path}, ${direction}, ${address}`
