import { mkdtemp, rm } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Catalogue, type InputOf, messageTypeNames, type OutputOf } from '../../api/index.ts'
import { MeshError } from '../../core/base/index.ts'
import type { CommandContext } from '../context.ts'
import { safe } from '../output.ts'
import { renderers } from '../render.ts'
import { DemoCircuits, demoHops } from './demo-circuits.ts'
import { DemoNode } from './demo-node.ts'

type DemoReport = OutputOf<Catalogue['demo']>

const discoverMs = 45_000
/** A node that is busy answers so late. */
const answerMs = 15_000
const deliverMs = 20_000
const sentWhileDown = 5
const groupName = 'swarm-alpha'
/** More processes that start at one time are only slower. */
const startsAtOnce = 2 * availableParallelism()
/** How long before what a killed node missed is tried again by hand: its sender waits longer after each try. */
const retryEveryMs = 500

/** A whole mesh on this machine, in real processes and a temporary folder; nothing of it stays. */
export async function demo({ nodes: count }: InputOf<Catalogue['demo']>, context: CommandContext): Promise<MeshError | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'synaptic-mesh-demo-'))
  const nodes = Array.from({ length: count }, (_, index) => new DemoNode(context, { folder, name: `agent-${String(index + 1).padStart(3, '0')}` }))
  try {
    const report = await new Demo(nodes, context).run()
    await context.output.result(report, (value) => renderers.demo(value, context.output))
    return report.ok ? undefined : new MeshError('TIMEOUT', { operation: 'A part of the demo', timeoutMs: deliverMs })
  } finally {
    await Promise.all(nodes.map((node) => node.stop()))
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

class Demo {
  readonly #nodes: readonly DemoNode[]
  readonly #context: CommandContext
  readonly #started = performance.now()

  constructor(nodes: readonly DemoNode[], context: CommandContext) {
    this.#nodes = nodes
    this.#context = context
  }

  async run(): Promise<DemoReport> {
    await this.#startAll()
    const discovered = await this.#discover()
    await this.#pairAll()
    const messages = await this.#sendAllTypes()
    const request = await this.#askAndAnswer()
    const group = await this.#group()
    const crash = await this.#crash()
    const circuits = await new DemoCircuits(this.#nodes, { say: (text) => this.#say(text), signal: this.#context.signal }).run()
    const isOk =
      discovered === this.#nodes.length &&
      messages.every(({ status }) => status === 'stored') &&
      group.stored === group.members - 1 &&
      crash.deliveredAfterRestart === crash.sentWhileDown &&
      crash.keptAcrossCrash > 0 &&
      circuits.every(({ status, path }) => status === 'stored' && path === 'onion')
    return { nodes: this.#nodes.length, seconds: this.#seconds(), discovered, messages, request, group, crash, circuits, ok: isOk }
  }

  #seconds(): number {
    return Math.round((performance.now() - this.#started) / 100) / 10
  }

  #say(text: string): void {
    this.#context.output.note(`${this.#seconds().toFixed(1).padStart(5)} s  ${text}`)
    if (this.#context.signal.aborted) throw new MeshError('ABORTED', { operation: 'demo' })
  }

  #node(index: number): DemoNode {
    const node = this.#nodes[index % this.#nodes.length]
    if (node === undefined) throw new MeshError('INTERNAL', { reason: 'the demo has no nodes' })
    return node
  }

  async #startAll(): Promise<void> {
    const network = `demo-${randomBytes(6).toString('hex')}`
    const shared = {
      network,
      listen_addrs: ['/ip4/127.0.0.1/tcp/0'],
      mdns: false,
      onion_routing: true,
      onion_hops: demoHops(3, this.#nodes.length)
    } as const
    const [first, ...others] = this.#nodes
    if (first === undefined) return
    await first.prepare({ ...shared, name: first.name })
    await first.start()
    this.#say(`${first.name} runs, pid ${first.pid}: the bootstrap node, at ${first.address}`)
    const bootstrap = { bootstrap_peers: [first.address] }
    const waiting = [...others]
    const startNext = async (): Promise<void> => {
      for (let node = waiting.shift(); node !== undefined; node = waiting.shift()) {
        await node.prepare({ ...shared, ...bootstrap, name: node.name })
        await node.start()
        this.#say(`${node.name} runs, pid ${node.pid}`)
      }
    }
    const started = await Promise.allSettled(
      Array.from({ length: startsAtOnce }, () =>
        startNext().catch((error: unknown) => {
          // Whoever ends this ends what was started, and nothing starts after that.
          waiting.length = 0
          throw error
        })
      )
    )
    for (const result of started) if (result.status === 'rejected') throw result.reason
  }

  /** Every node looks for all others through the one bootstrap node; returns how many found all. */
  async #discover(): Promise<number> {
    const wanted = this.#nodes.length - 1
    const found = await Promise.all(this.#nodes.map((node) => this.#lookAround(node, wanted)))
    const complete = found.filter((count) => count >= wanted).length
    this.#say(`${complete} of ${this.#nodes.length} nodes found all others by Kademlia`)
    return complete
  }

  /** How many others a node found. On a machine that is busy with starting them all, one look may not be enough. */
  async #lookAround({ client }: DemoNode, count: number): Promise<number> {
    const { signal } = this.#context
    const deadline = performance.now() + discoverMs
    for (;;) {
      const timeoutMs = Math.max(1_000, Math.round(deadline - performance.now()))
      const { found } = await client.call('discover', { method: 'kademlia', count, timeoutMs }, { deadlineMs: timeoutMs + answerMs, signal })
      if (found >= count || performance.now() > deadline) return found
    }
  }

  /** A ring: each node invites the next one. */
  async #pairAll(): Promise<void> {
    for (const [index, node] of this.#nodes.entries()) {
      const guest = this.#node(index + 1)
      const { invite } = await node.client.call('invite', {})
      await guest.client.call('join', { invite })
      this.#say(`${guest.name} joined ${node.name} by an invite of ${invite.length} characters`)
    }
  }

  async #sendAllTypes(): Promise<DemoReport['messages']> {
    const messages: DemoReport['messages'] = []
    for (const [index, msgType] of messageTypeNames.entries()) {
      const [from, to] = [this.#node(index), this.#node(index + 1)]
      const input = {
        destination: to.name,
        content: `a ${msgType} from ${from.name}`,
        msgType,
        priority: 10 - index,
        via: 'direct',
        timeoutMs: deliverMs
      } as const
      const { type, status, ms } = await from.client.call('message', input, { deadlineMs: deliverMs + answerMs, signal: this.#context.signal })
      messages.push({ type, from: from.name, to: to.name, status, ms })
      this.#say(`${from.name} → ${to.name}: ${type} ${status} in ${Math.round(ms)} ms`)
    }
    return messages
  }

  async #askAndAnswer(): Promise<DemoReport['request']> {
    const [asking, answering] = [this.#node(0), this.#node(1)]
    const stop = new AbortController()
    const agent = answerCommands(answering, stop.signal)
    try {
      const command = 'count to three'
      const started = performance.now()
      const { response } = await asking.client.call(
        'message',
        { destination: answering.name, content: command, request: true, via: 'direct', timeoutMs: deliverMs },
        { deadlineMs: deliverMs + answerMs, signal: this.#context.signal }
      )
      const ms = Math.round((performance.now() - started) * 10) / 10
      this.#say(
        `${asking.name} → ${answering.name}: Command "${command}", answered by Response "${safe(response?.body ?? '')}" in ${Math.round(ms)} ms`
      )
      return { command, response: response?.body ?? '', ms }
    } finally {
      stop.abort()
      await agent
    }
  }

  /** The first node makes a group of all and writes to it; its neighbours in the ring are paired with it, the others approve of it. */
  async #group(): Promise<DemoReport['group']> {
    const maker = this.#node(0)
    const others = this.#nodes.slice(1)
    await maker.client.call('groupCreate', { name: groupName, member: others.map(({ peerId }) => peerId) })
    await Promise.all(others.slice(1, -1).map(({ client }) => client.call('approve', { peer: maker.peerId })))
    const input = { destination: groupName, content: 'Sync neural patterns', msgType: 'coordination', via: 'direct', timeoutMs: deliverMs } as const
    const { members = [], status, ms } = await maker.client.call('message', input, { deadlineMs: deliverMs + answerMs, signal: this.#context.signal })
    const stored = members.filter((member) => member.status === 'stored').length
    this.#say(`${maker.name} → ${groupName}: stored at ${stored} of ${members.length} members in ${Math.round(ms)} ms`)
    return { name: groupName, members: members.length + 1, status, stored, ms }
  }

  async #crash(): Promise<DemoReport['crash']> {
    const [sender, victim] = [this.#node(1), this.#node(2)]
    const before = await idsIn(victim)
    await victim.kill()
    this.#say(`${victim.name} killed with -9, ${before.size} unread in its inbox`)
    const ids: string[] = []
    for (let index = 1; index <= sentWhileDown; index++) {
      const { id } = await sender.client.call('message', {
        destination: victim.name,
        content: `message ${index} while you were away`,
        via: 'direct',
        wait: 'accepted'
      })
      ids.push(id)
    }
    this.#say(`${sender.name} accepted ${ids.length} messages for it meanwhile`)
    await victim.start()
    this.#say(`${victim.name} runs again, pid ${victim.pid}`)
    await this.#untilStored(sender, ids)
    const after = await idsIn(victim)
    const kept = [...before].filter((id) => after.has(id)).length
    const delivered = ids.filter((id) => after.has(id)).length
    this.#say(`${delivered} of ${ids.length} delivered after the restart; ${kept} of ${before.size} from before are still there`)
    return { node: victim.name, sentWhileDown: ids.length, deliveredAfterRestart: delivered, keptAcrossCrash: kept === before.size ? kept : 0 }
  }

  /** Waits until the sender has a receipt for each. */
  async #untilStored(sender: DemoNode, ids: readonly string[]): Promise<void> {
    const deadline = performance.now() + deliverMs
    for (;;) {
      const { messages } = await sender.client.call('outboxList', { state: ['stored', 'read'], limit: 1_000 })
      const stored = new Set(messages.map(({ id }) => id))
      if (ids.every((id) => stored.has(id)) || performance.now() > deadline) return
      await sender.client.call('outboxRetry', {})
      await new Promise((resolve) => setTimeout(resolve, retryEveryMs))
      if (this.#context.signal.aborted) throw new MeshError('ABORTED', { operation: 'demo' })
    }
  }
}

async function idsIn({ client }: DemoNode): Promise<ReadonlySet<string>> {
  const { messages } = await client.call('inboxList', { limit: 1_000 })
  return new Set(messages.map(({ id }) => id))
}

/** A small agent: answers every Command that expects it. */
async function answerCommands({ client }: DemoNode, signal: AbortSignal): Promise<void> {
  try {
    for await (const message of client.stream('listen', { type: ['command'] }, { signal })) {
      if (message.expectsReply)
        await client.call('inboxReply', { id: message.id, from: message.source, content: 'one, two, three', via: 'direct', ack: true })
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
