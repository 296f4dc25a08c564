import { equalBytes, type MeshError } from '../core/base/index.ts'
import {
  type AdmissionLimits,
  type ArrivedMessage,
  type InboxMachine,
  isMessageId,
  type MessageDraft,
  messageTypes,
  type OutboxEntry,
  routes,
  type Via
} from '../core/message/index.ts'
import { DeliveryLedger } from './delivery-ledger.ts'
import { DeliveryNode, type DeliveryWorld, type SimulatedLink, type SimulatedRoute } from './delivery-node.ts'
import { SimulatedNetwork, Simulator } from './simulator.ts'

export interface DeliveryScheduleOptions {
  readonly seed: number
  /** 2–8; default 3. */
  readonly nodes?: number
  /** Default 24. */
  readonly messages?: number
  /** Virtual milliseconds with faults; default 60,000. After them everything is mended. */
  readonly chaosMs?: number
  /** Whether some messages go to everybody at once before they go alone, as in a large group. Default false. */
  readonly gossip?: boolean
  /** Puts a faulty machine in, to see that the properties catch it. */
  readonly makeInbox?: (options: ConstructorParameters<typeof InboxMachine>[0]) => InboxMachine
}

/** What a schedule did: shows that faults did happen. */
export interface DeliveryReport {
  readonly accepted: number
  readonly ends: Readonly<Record<string, number>>
  readonly crashes: number
  readonly handedOut: number
  /** Transmissions of messages and receipts, by route. */
  readonly onRoute: Readonly<Record<Via, number>>
  /** Messages that were given to everybody at once. */
  readonly gossiped: number
  readonly virtualMs: number
}

const tenYearsMs = 10 * 365 * 86_400_000
const roomyLimits = { blocked: false, maxMessages: 1_000, maxBytes: 1_000_000_000, maxBytesOfSource: 1_000_000_000 }

/** One seeded life of a small mesh under faults, with every promise of delivery checked. */
class DeliverySimulation implements DeliveryWorld {
  readonly simulator: Simulator
  readonly #options: Required<Omit<DeliveryScheduleOptions, 'makeInbox'>>
  readonly #network: SimulatedNetwork
  readonly #nodes: readonly DeliveryNode[]
  readonly #ledger: DeliveryLedger
  readonly #links = new Set<SimulatedLink>()
  /** Pairs of nodes that are paired, as "a b". */
  readonly #paired = new Set<string>()
  readonly #quota: number
  /** No circuit is built before. */
  #onionDownUntil = 0
  #lastLink = 0
  #crashes = 0
  #gossiped = 0
  #isCalm = false

  constructor(options: DeliveryScheduleOptions) {
    this.#options = { nodes: 3, messages: 24, chaosMs: 60_000, gossip: false, ...options }
    this.simulator = new Simulator(options.seed)
    const { random } = this.simulator
    this.#network = new SimulatedNetwork(this.simulator, {
      minDelayMs: 1,
      maxDelayMs: random.pick([5, 50, 400]),
      loss: random.pick([0, 0, 0.05, 0.3]),
      duplication: random.pick([0, 0.1, 0.5])
    })
    this.#quota = random.pick([1_000, 1_000, 4])
    const { makeInbox } = options
    this.#nodes = Array.from({ length: this.#options.nodes }, (_, index) => {
      return new DeliveryNode({
        index,
        world: this,
        maxCommitMs: random.pick([2, 20]),
        outboxMaxMessages: 1_000,
        ...(makeInbox === undefined ? {} : { makeInbox })
      })
    })
    this.#ledger = new DeliveryLedger(this.simulator, this.#nodes)
    for (const a of this.#nodes) for (const b of this.#nodes) if (random.chance(0.85)) this.#pair(a.index, b.index)
  }

  async run(): Promise<DeliveryReport> {
    const { messages, chaosMs } = this.#options
    const { random } = this.simulator
    for (const node of this.#nodes) await node.start()
    for (let index = 0; index < messages; index++) this.simulator.schedule(random.integer(0, chaosMs * 0.8), () => this.#submitOne(index))
    for (const node of this.#nodes) this.#readSoon(node)
    for (let index = 0; index < 12; index++) this.simulator.schedule(random.integer(0, chaosMs), () => this.#breakSomething())
    await this.simulator.runUntil(chaosMs)
    await this.#mend()
    await this.simulator.runUntil(chaosMs + this.#ledger.settleMs)
    this.#ledger.check()
    return {
      accepted: this.#ledger.acceptedCount,
      ends: this.#ledger.ends(),
      crashes: this.#crashes,
      handedOut: this.#ledger.handedOut,
      onRoute: this.#ledger.onRoute,
      gossiped: this.#gossiped,
      virtualMs: this.simulator.now
    }
  }

  // The users

  #submitOne(index: number): void {
    const { random } = this.simulator
    const from = random.pick(this.#nodes)
    const to = random.pick(this.#nodes.filter((node) => node !== from))
    const draft: MessageDraft = {
      id: `m-${index}`,
      type: random.chance(0.1) ? 'Command' : random.pick(messageTypes),
      destination: { kind: 'peer', key: to.publicKey, label: '' },
      via: random.pick(routes),
      label: '',
      inReplyTo: undefined,
      expectsReply: false,
      priority: random.integer(0, 10),
      ttlS: random.pick([3, 20, 300, 300, 300]),
      contentType: 'text/plain; charset=utf-8',
      body: random.bytes(random.pick([0, 10, 200]))
    }
    if (!isMessageId(draft.id)) this.onViolation('an id of the simulation is not valid')
    this.#submit(from, to, draft)
    // A client that got no answer asks again with the same id; one in a while asks twice anyway.
    this.simulator.schedule(random.integer(10, 15_000), () => this.#submitAgain(from, to, draft))
    if (random.chance(0.05)) this.simulator.schedule(random.integer(0, 20_000), () => from.cancel(draft.id, () => undefined))
  }

  #submit(from: DeliveryNode, to: DeliveryNode, draft: MessageDraft): void {
    this.#ledger.drafted(draft)
    const parks = this.#options.gossip && draft.via === 'direct' && this.simulator.random.chance(0.6)
    const done = (result: OutboxEntry | MeshError): void => {
      this.#ledger.submitted({ from, to, draft, result })
      if (parks) this.#gossip(from, to, draft.id)
    }
    if (from.isUp) from.submit(draft, done, parks ? 3_000 : undefined)
  }

  /** Everybody at once: some never hear it, some twice, some late; and now and then there is nobody to tell. */
  #gossip(from: DeliveryNode, to: DeliveryNode, id: string): void {
    const { random } = this.simulator
    const [row] = from.disk.outbox.load([id])
    const isGiven = random.chance(0.85)
    if (isGiven && row !== undefined) {
      this.#gossiped++
      const sentAt = row.accepted.wall
      for (let copies = random.pick([0, 1, 1, 1, 3]); copies > 0; copies--)
        this.simulator.schedule(random.integer(1, random.pick([50, 2_000, 20_000])), () => to.hear(row.envelope, sentAt))
    }
    // A process may die between the two; and one that is told late has waited for nothing.
    this.simulator.schedule(random.pick([0, 1, 500]), () => from.gossiped(id, isGiven))
  }

  #submitAgain(from: DeliveryNode, to: DeliveryNode, draft: MessageDraft): void {
    if (this.simulator.now > this.#options.chaosMs) return
    if (!this.#ledger.isAccepted(draft.id) || this.simulator.random.chance(0.2)) this.#submit(from, to, draft)
  }

  #readSoon(node: DeliveryNode): void {
    const { random } = this.simulator
    this.simulator.schedule(this.#isCalm ? 20_000 : random.integer(20, 3_000), () => {
      // A reader whose call fails asks again later.
      this.#read(node).catch((thrown: unknown) => this.#onThrown(node, thrown))
      this.#readSoon(node)
    })
  }

  async #read(node: DeliveryNode): Promise<void> {
    const rows = await node.read(5)
    if (rows === undefined) return
    this.#ledger.handOut(node, rows)
    const acked = rows.filter(() => this.#isCalm || this.simulator.random.chance(0.8))
    if (acked.length === 0) return
    this.#ledger.asksToAck(node, acked)
    await node.ack(acked.map(({ source, id }) => ({ source, id })))
    this.#ledger.acked(node, acked)
  }

  // The faults

  #breakSomething(): void {
    const { random } = this.simulator
    const node = random.pick(this.#nodes)
    const other = random.pick(this.#nodes)
    switch (random.integer(0, 10)) {
      case 0:
      case 1:
        return this.#crash(node, { isReboot: false, downMs: random.integer(0, 8_000) })
      case 2:
        return this.#crash(node, { isReboot: random.chance(0.5), downMs: random.integer(0, 8_000) })
      case 3:
        return this.#cut(() => this.#network.partition(node.index, other.index))
      case 4:
        return this.#cut(() => this.#network.partitionOneWay(node.index, other.index))
      case 5:
        return this.#fillDisk(node)
      case 6:
        node.wallOffsetMs += random.pick([-tenYearsMs, tenYearsMs, 3_600_000, -3_600_000])
        return
      case 7:
        node.failNextCommit(random.chance(0.5))
        this.simulator.schedule(random.integer(1_000, 5_000), () => this.#crash(node, { isReboot: false, downMs: 0 }))
        return
      case 8:
        if (node !== other) this.#pairLater(node, other)
        return
      case 9:
        return this.#breakCircuits()
      case 10:
        this.#onionDownUntil = this.simulator.now + random.integer(1_000, 20_000)
        return this.#breakCircuits()
    }
  }

  #crash(node: DeliveryNode, how: { readonly isReboot: boolean; readonly downMs: number }): void {
    if (node.isUp) this.#crashes++
    node.crash()
    this.#ledger.crashed(node)
    for (const link of this.#links) if (link.from === node.index || link.to === node.index) this.#loseLink(link)
    this.simulator.schedule(how.downMs, () => {
      if (node.isUp) return
      if (how.isReboot) {
        node.reboot()
        this.#ledger.rebooted(node)
      }
      void node.start()
    })
  }

  #cut(cut: () => void): void {
    const { random } = this.simulator
    cut()
    for (const link of this.#links) if (!this.#isWhole(link)) this.simulator.schedule(random.integer(1_000, 20_000), () => this.closeLink(link))
    this.simulator.schedule(random.integer(1_000, 20_000), () => this.#network.heal())
  }

  /** The circuits end, at once or a little later, while everything else goes on. */
  #breakCircuits(): void {
    for (const link of this.#links) if (link.via === 'onion') this.#loseLink(link)
  }

  #fillDisk(node: DeliveryNode): void {
    node.disk.isFull = true
    this.simulator.schedule(this.simulator.random.integer(100, 10_000), () => {
      node.disk.isFull = false
    })
  }

  #pair(a: number, b: number): void {
    this.#paired.add(`${a} ${b}`).add(`${b} ${a}`)
  }

  #pairLater(a: DeliveryNode, b: DeliveryNode): void {
    this.#pair(a.index, b.index)
    a.release(b.publicKey).catch((thrown: unknown) => this.#onThrown(a, thrown))
    b.release(a.publicKey).catch((thrown: unknown) => this.#onThrown(b, thrown))
  }

  async #mend(): Promise<void> {
    this.#isCalm = true
    this.#onionDownUntil = 0
    this.#network.heal()
    this.#network.conditions = { ...this.#network.conditions, loss: 0 }
    for (const node of this.#nodes) {
      node.disk.isFull = false
      // A commit that was to fail may still do so; then the node ends, and its keeper starts it again.
      for (const laterMs of [0, 2_000, 10_000]) this.simulator.schedule(laterMs, () => void (node.isUp ? undefined : node.start()))
    }
  }

  // The world of the nodes

  connect(from: number, to: SimulatedRoute, done: (link: SimulatedLink | undefined) => void): void {
    const { random } = this.simulator
    const { via } = to
    const target = this.#nodeOf(to.publicKey)
    const source = this.#nodes[from]
    // One attempt in a while is never answered.
    if (!this.#isCalm && random.chance(0.02)) return
    this.simulator.schedule(random.integer(1, via === 'onion' ? 400 : 100), () => {
      if (via === 'onion' && (this.simulator.now < this.#onionDownUntil || (!this.#isCalm && random.chance(0.2)))) return done(undefined)
      const isReachable =
        target !== undefined && target.isUp && this.#network.canReach(from, target.index) && this.#network.canReach(target.index, from)
      if (!isReachable || source === undefined || !source.isUp) return done(undefined)
      const link: SimulatedLink = { id: ++this.#lastLink, from, to: target.index, via, isOpen: true }
      this.#links.add(link)
      done(link)
      if (!link.isOpen) return
      target.onLinkOpen({ publicKey: source.publicKey, via })
      source.onLinkOpen({ publicKey: target.publicKey, via })
    })
  }

  transfer(link: SimulatedLink, from: number, frame: Uint8Array): void {
    const to = link.from === from ? link.to : link.from
    const sender = this.#nodes[from]
    if (sender !== undefined) this.#ledger.leaves(frame, { via: link.via, from: sender, to: this.#nodes[to] ?? sender })
    this.#network.send(from, to, () => {
      if (link.isOpen && sender !== undefined) this.#nodes[to]?.onFrame(link, sender.publicKey, frame)
    })
  }

  closeLink(link: SimulatedLink): void {
    if (!link.isOpen) return
    link.isOpen = false
    this.#links.delete(link)
    const from = this.#nodes[link.from]
    const to = this.#nodes[link.to]
    if (from === undefined || to === undefined) return
    from.onLinkClosed(link, to.publicKey)
    to.onLinkClosed(link, from.publicKey)
  }

  /** The process at one end is gone: the other end notices some time later. */
  #loseLink(link: SimulatedLink): void {
    this.simulator.schedule(this.simulator.random.integer(0, 5_000), () => this.closeLink(link))
  }

  #isWhole(link: SimulatedLink): boolean {
    return this.#network.canReach(link.from, link.to) && this.#network.canReach(link.to, link.from)
  }

  link(id: number): SimulatedLink | undefined {
    return [...this.#links].find((link) => link.id === id)
  }

  linkBetween(a: number, { publicKey, via }: SimulatedRoute): SimulatedLink | undefined {
    const other = this.#nodeOf(publicKey)?.index
    let found: SimulatedLink | undefined
    for (const link of this.#links) {
      if (link.via !== via) continue
      if (link.from === a && link.to === other) return link
      if (link.from === other && link.to === a) found = link
    }
    return found
  }

  #nodeOf(publicKey: Uint8Array): DeliveryNode | undefined {
    return this.#nodes.find((node) => equalBytes(node.publicKey, publicKey))
  }

  limitsOf(node: number, publicKey: Uint8Array): AdmissionLimits {
    const paired = this.#paired.has(`${node} ${this.#nodeOf(publicKey)?.index}`)
    return { ...roomyLimits, paired, commands: paired, maxMessagesOfSource: paired ? this.#quota : Math.min(this.#quota, 100) }
  }

  onState(node: number, entry: OutboxEntry): void {
    this.#ledger.state(node, entry)
  }

  onArrived(node: number, messages: readonly ArrivedMessage[]): void {
    this.#ledger.arrived(node, messages)
  }

  onViolation(text: string): void {
    this.#ledger.violate(text)
  }

  onThrown(thrown: unknown): void {
    this.#ledger.failed(thrown)
  }

  #onThrown(node: DeliveryNode, thrown: unknown): void {
    if (!node.onStoreError(thrown)) this.onThrown(thrown)
  }
}

/**
 * Runs one seeded schedule: nodes that send, read and acknowledge while messages are delayed, lost, doubled and reordered, links cut,
 * processes killed, disks full, commits failing and clocks set by ten years; then mends everything and checks every promise.
 * @throws {Error} naming the seed and the promise that was broken.
 */
export function runDeliverySchedule(options: DeliveryScheduleOptions): Promise<DeliveryReport> {
  return new DeliverySimulation(options).run()
}
