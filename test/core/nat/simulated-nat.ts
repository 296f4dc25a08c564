import { type Bytes, type Millis, millis } from '../../../src/core/base/index.ts'
import { type AskedServer, NatClassifier } from '../../../src/core/nat/classifier.ts'
import type { Endpoint } from '../../../src/core/nat/ip-address.ts'
import { answerStun } from '../../../src/core/nat/stun-responder.ts'
import type { ProbeSocket } from '../../../src/core/nat/stun-transaction.ts'
import type { NatFacts, NatFiltering, NatMapping } from '../../../src/core/nat/types.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'

/** What answers at one endpoint: datagrams with the endpoint that they leave from. */
export type Behaviour = (request: { readonly bytes: Uint8Array; readonly source: Endpoint }) => readonly {
  readonly bytes: Uint8Array
  readonly from: Endpoint
}[]

export interface WorldOptions {
  readonly mapping: Exclude<NatMapping, 'unknown'>
  readonly filtering: Exclude<NatFiltering, 'unknown'>
  readonly localAddress?: string
  readonly publicAddress?: string
  readonly moreAddresses?: readonly string[]
  readonly servers: readonly Endpoint[]
  /** By `address:port`; what is not listed is silent. */
  readonly network: ReadonlyMap<string, Behaviour>
  readonly oneWayMs?: number
  /** The share of datagrams that is lost in each direction. */
  readonly loss?: number
  readonly isBlocked?: boolean
  readonly seed?: number
}

export interface Outcome {
  readonly facts: Omit<NatFacts, 'probedAt'>
  readonly servers: readonly AskedServer[]
  readonly tookMs: number
  readonly sent: number
}

const ports: Readonly<Record<ProbeSocket, number>> = { mapping: 5_000, filtering: 5_001 }
export const keyOf = ({ address, port }: Endpoint): string => `${address}:${port}`

/** Both addresses of a server with RFC 5780: four endpoints. */
export function surveyServer(first: Endpoint, other: Endpoint): readonly (readonly [string, Behaviour])[] {
  const endpoints = [first, { address: first.address, port: other.port }, { address: other.address, port: first.port }, other]
  return endpoints.map((local) => {
    const opposite = {
      address: local.address === first.address ? other.address : first.address,
      port: local.port === first.port ? other.port : first.port
    }
    return [keyOf(local), responder(local, opposite)] as const
  })
}

/** Our own server at `local`. */
export function responder(local: Endpoint, other?: Endpoint): Behaviour {
  return ({ bytes, source }) => {
    const answer = answerStun(bytes, { source, local, other })
    if (answer === undefined) return []
    const { changeAddress, changePort } = answer
    const from = { address: (changeAddress ? other : local)?.address ?? '', port: (changePort ? other : local)?.port ?? 0 }
    return [{ bytes: answer.bytes, from }]
  }
}

/** Runs the classifier behind a NAT on a virtual clock. */
export class World {
  readonly #options: WorldOptions
  readonly #random: SeededRandom
  readonly #events: { readonly at: number; readonly run: () => void }[] = []
  readonly #mappings = new Map<string, number>()
  readonly #permitted = new Set<string>()
  readonly classifier: NatClassifier
  now: Millis = millis(0)
  sent = 0
  outcome: Outcome | undefined

  constructor(options: WorldOptions) {
    const { localAddress = '192.168.1.2', moreAddresses = [], servers, seed = 1 } = options
    this.#options = options
    this.#random = new SeededRandom(seed)
    const localAddresses = [localAddress, '127.0.0.1', ...moreAddresses]
    this.classifier = new NatClassifier({ random: this.#random, servers, localAddresses, localPort: ports.mapping })
  }

  run(): Outcome {
    this.#input({ type: 'start' })
    while (this.outcome === undefined) {
      const event = this.#events.toSorted((a, b) => a.at - b.at)[0]
      const { wakeAt } = this.classifier
      if (event !== undefined && (wakeAt === undefined || event.at <= wakeAt)) {
        this.#events.splice(this.#events.indexOf(event), 1)
        this.now = millis(event.at)
        event.run()
      } else if (wakeAt !== undefined) {
        this.now = wakeAt
        this.#input({ type: 'wake' })
      } else throw new Error('the classifier waits for nothing')
    }
    return this.outcome
  }

  /** A datagram that reaches the host itself, whatever the NAT does: from its own network. */
  inject(bytes: Uint8Array, source: Endpoint, socket: ProbeSocket = 'mapping'): void {
    this.#input({ type: 'packet', socket, source, bytes })
  }

  #input(input: Parameters<NatClassifier['handle']>[0]): void {
    for (const output of this.classifier.handle(input, this.now)) {
      if (output.type === 'done') this.outcome = { facts: output.facts, servers: output.servers, tookMs: this.now, sent: this.sent }
      else this.#send(output.socket, output.destination, output.bytes)
    }
  }

  #send(socket: ProbeSocket, destination: Endpoint, bytes: Uint8Array): void {
    this.sent++
    const source = this.#translated(socket, destination)
    this.#permitted.add(`${socket}>${keyOf(destination)}`).add(`${socket}>${destination.address}`)
    if (this.#options.isBlocked || this.#isLost()) return
    this.#after(() => {
      const answers = this.#options.network.get(keyOf(destination))?.({ bytes, source }) ?? []
      for (const answer of answers) this.#answer(socket, answer)
    })
  }

  #answer(socket: ProbeSocket, { bytes, from }: { readonly bytes: Uint8Array; readonly from: Endpoint }): void {
    if (this.#isLost()) return
    this.#after(() => {
      const { filtering } = this.#options
      const isLet =
        filtering === 'endpoint-independent' ||
        this.#permitted.has(filtering === 'address-dependent' ? `${socket}>${from.address}` : `${socket}>${keyOf(from)}`)
      if (isLet) this.#input({ type: 'packet', socket, source: from, bytes: bytes.slice() as Bytes })
    })
  }

  #translated(socket: ProbeSocket, destination: Endpoint): Endpoint {
    const { mapping, localAddress = '192.168.1.2', publicAddress = '11.77.15.2' } = this.#options
    if (mapping === 'none') return { address: localAddress, port: ports[socket] }
    const part = { 'endpoint-independent': '', 'address-dependent': destination.address, 'address-and-port-dependent': keyOf(destination) }[mapping]
    const key = `${socket}>${part}`
    if (!this.#mappings.has(key)) this.#mappings.set(key, 20_000 + this.#mappings.size * 7)
    return { address: publicAddress, port: this.#mappings.get(key) ?? 0 }
  }

  #isLost(): boolean {
    return this.#random.chance(this.#options.loss ?? 0)
  }

  #after(run: () => void): void {
    this.#events.push({ at: this.now + (this.#options.oneWayMs ?? 10), run })
  }
}
