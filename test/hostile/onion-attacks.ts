import { isMeshError, MeshError } from '../../src/core/base/index.ts'
import { destroyCell, handshakeCells } from '../../src/core/onion/cell.ts'
import {
  type Cell,
  type CellCommand,
  cellCommands,
  cellSizes,
  chooseCircuit,
  demandIn,
  encodeCells,
  type HopTarget,
  linkKinds,
  solutionCell
} from '../../src/core/onion/index.ts'
import type { RelayNode } from '../net/onion-relay-support.ts'
import { DialHost, type LinkHosts } from '../../src/mesh/onion/link-host.ts'
import { clock, random, timers } from '../net/support.ts'
import { RawCircuit, RawLink } from './onion-raw.ts'

/** What others know of a node of circuits. */
export interface Card {
  readonly target: HopTarget
  readonly addresses: readonly string[]
}

export interface Field {
  readonly node: RelayNode
  /** Where its ephemeral keys call from. */
  readonly hosts: LinkHosts
  readonly victim: Card
  /** Relays and endpoints that the victim would extend to. */
  readonly others: readonly Card[]
  readonly as: 'client' | 'relay'
  readonly signal: AbortSignal
  /** Counts what happened. */
  readonly note: (what: string, count?: number) => void
}

const tickMs = 20
const perTick = 10
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

async function openLink({ node, victim, as, note }: Field): Promise<RawLink> {
  let made: RawLink | undefined
  note('links')
  await node.links.open({ as, publicKey: victim.target.publicKey, addresses: victim.addresses, make: (link) => (made = new RawLink(link)) })
  if (made === undefined) throw new Error('a link that was there before')
  return made
}

/** Does a step every 20 ms over a link, which is opened again when it ended. */
async function everyTick(field: Field, prepare: (link: RawLink) => void, step: (link: RawLink) => void): Promise<void> {
  let link: RawLink | undefined
  while (!field.signal.aborted) {
    if (link === undefined || link.hasEnded) {
      link = await openLink(field).catch(() => undefined)
      if (link === undefined) await pause(200)
      else prepare(link)
    }
    if (link !== undefined) step(link)
    await pause(tickMs)
  }
  link?.close()
}

const cell = (command: CellCommand, circuit: number = chooseCircuit(random, () => false)): Cell => ({
  circuit,
  command,
  body: random.bytes(cellSizes.body)
})

/** Requests of each attacker; when all were sent, they are sent again. */
const fresh = 150
const createsPerSecond = 500

/** 500 CREATEs a second, each good for a handshake; what is made is ended at once, so that no number of circuits is in the way. */
async function creates(field: Field): Promise<void> {
  const { node, victim, note } = field
  const requests: Uint8Array[] = []
  while (requests.length < fresh) requests.push(node.crypto.begin(victim.target, 1).request)
  let next = 0
  const request = (): Uint8Array => requests[next++ % fresh] ?? new Uint8Array(cellSizes.create)
  const prepare = (link: RawLink): void => {
    const seen = new Set<number>()
    link.onCell = ({ command, circuit }) => {
      if (command === cellCommands.destroy) note('refused')
      if (command === cellCommands.link) note('asked for work')
      if (command !== cellCommands.created || seen.has(circuit)) return
      seen.add(circuit)
      note('created')
      link.send(destroyCell(circuit, 'none', random))
    }
  }
  const startedAt = performance.now()
  let due = 0
  await everyTick(field, prepare, (link) => {
    for (; due < ((performance.now() - startedAt) / 1_000) * createsPerSecond; due++) {
      const circuit = chooseCircuit(random, () => false)
      note(link.send(...handshakeCells(circuit, { command: cellCommands.create, bytes: request() }, random)) ? 'sent' : 'held back')
    }
  })
}

/** Cells of a kind as fast as the victim reads them. */
const stream =
  (make: () => Cell): ((field: Field) => Promise<void>) =>
  (field) =>
    everyTick(
      field,
      () => undefined,
      (link) => {
        while (link.queued < 2_000 && link.send(make())) field.note('sent')
      }
    )

/** Work that was never asked for, or is wrong, or is asked for and never done. */
async function puzzles(field: Field): Promise<void> {
  const { note } = field
  let seed: Uint8Array = random.bytes(16)
  const prepare = (link: RawLink): void => {
    link.onCell = ({ command, body }) => {
      if (command !== cellCommands.link) return
      seed = demandIn(body)?.seed ?? seed
      note('asked for work')
    }
  }
  await everyTick(field, prepare, (link) => {
    const circuit = chooseCircuit(random, () => false)
    link.send(...handshakeCells(circuit, { command: cellCommands.create, bytes: random.bytes(cellSizes.create) }, random))
    for (let sent = 0; sent < perTick; sent++) if (link.send(solutionCell({ seed, nonce: random.bytes(8) }, random))) note('sent')
  })
}

/** Circuits of one hop, as many as the victim gives. */
async function circuits(field: Field, count: number): Promise<{ readonly link: RawLink; readonly made: readonly RawCircuit[] }> {
  const { node, victim, note } = field
  const link = await openLink(field)
  const made: RawCircuit[] = []
  while (made.length < count && !field.signal.aborted) {
    const batch = await Promise.all(
      Array.from({ length: 16 }, () => RawCircuit.create({ link, crypto: node.crypto, random, target: victim.target }, 3_000))
    )
    const open = batch.filter((circuit) => circuit !== undefined)
    made.push(...open)
    note('circuits', open.length)
    if (open.length < 16) break
  }
  return { link, made }
}

/** Hundreds of circuits whose answers nobody reads. */
async function unread(field: Field): Promise<void> {
  const { link, made } = await circuits(field, 64)
  link.reads = false
  const ping = Array.from({ length: 62 }, () => ({ type: 'ping', payload: new Uint8Array(8) }) as const)
  for (let round = 0; !field.signal.aborted; round++) {
    const circuit = made[round % Math.max(1, made.length)]
    // The answers to a cell of pings fill a cell.
    while (circuit !== undefined && link.queued < 2_000 && circuit.send(ping)) field.note('sent')
    await pause(1)
  }
  link.close()
}

/** DESTROYs that nobody reads: circuits that are begun, and broken at once. */
async function unreadEnds(field: Field): Promise<void> {
  const prepare = (link: RawLink): void => void (link.reads = false)
  await everyTick(field, prepare, (link) => {
    while (link.queued < 2_000) {
      const circuit = chooseCircuit(random, () => false)
      if (!link.send(cell(cellCommands.create, circuit), cell(cellCommands.relay, circuit))) break
      field.note('sent')
    }
  })
}

/** SENDMEs for nothing, with tags that are guessed, on circuits of one hop. */
async function forgedSendme(field: Field): Promise<void> {
  while (!field.signal.aborted) {
    const { link, made } = await circuits(field, 16)
    for (const circuit of made) circuit.send([{ type: 'sendme', tag: random.bytes(16) }])
    await pause(300)
    field.note('ended', made.filter(({ isDestroyed }) => isDestroyed).length)
    field.note('stayed', made.filter(({ isDestroyed }) => !isDestroyed).length)
    link.close()
    await pause(50)
  }
}

/** EXTENDs of many circuits to those that `whom` names. */
const extendTo =
  (whom: (field: Field) => Promise<readonly Uint8Array[]> | readonly Uint8Array[]) =>
  async (field: Field): Promise<void> => {
    const keys = await whom(field)
    while (!field.signal.aborted) {
      const { link, made } = await circuits(field, 64)
      made.forEach((circuit, index) => {
        circuit.onMessage = (message) => message.type === 'extendFailed' && field.note(message.reason)
        if (circuit.extend(keys[index % keys.length] ?? random.bytes(32))) field.note('sent')
      })
      await pause(500)
      link.close()
      await pause(50)
    }
  }

/** Paths that go to and fro, or round. */
async function loops(field: Field): Promise<void> {
  const { node, victim, others, note } = field
  const [a, b, end] = others
  if (a === undefined || b === undefined || end === undefined) throw new Error('nobody to go round with')
  const paths = {
    fro: [victim, a, victim, a, victim],
    round: Array.from({ length: 5 }, () => [victim, a, b]).flat(),
    self: [victim, victim],
    through: [victim, end, a]
  }
  while (!field.signal.aborted) {
    for (const [name, path] of Object.entries(paths)) {
      const circuit = await node.circuit(victim, () => undefined, 60)
      let hops = 0
      try {
        for (const { target } of path) {
          await circuit.extend(target, 1, 5_000)
          hops += 1
        }
      } catch (error) {
        note(`${name} ended after ${hops}: ${isMeshError(error) ? error.code : String(error)}`)
      }
      circuit.close()
    }
    await pause(20)
  }
}

/** Links that are opened and closed again. */
async function churn({ hosts, victim, note, signal }: Field): Promise<void> {
  const one = async (): Promise<void> => {
    const opener = new DialHost({ host: await hosts.start(), clock, timers, log: () => undefined, onRefused: () => undefined })
    while (!signal.aborted) {
      try {
        const { stream: opened, hangUp } = await opener.open(victim.target.publicKey, victim.addresses)
        await opened.send(encodeCells([cell(cellCommands.padding, 0)]))
        note('opened')
        opened.abort(new MeshError('ABORTED', { operation: 'a link' }))
        await hangUp()
      } catch {
        note('refused')
        await pause(20)
      }
    }
    await opener.stop()
  }
  await Promise.all(Array.from({ length: 4 }, one))
}

export const attacks = {
  creates,
  padding: stream(() => cell(cellCommands.padding, 0)),
  link: stream(() => ({ ...cell(cellCommands.link, 0), body: random.bytes(cellSizes.body).fill(linkKinds.solution, 0, 1) })),
  unknown: stream(() => cell(cellCommands.relay)),
  halves: stream(() => cell(cellCommands.create)),
  destroys: stream(() => cell(cellCommands.destroy)),
  puzzles,
  unread,
  unreadEnds,
  forgedSendme,
  extendUnknown: extendTo(() => Array.from({ length: 64 }, () => random.bytes(32))),
  extendNeighbours: extendTo(({ node, victim }) => [victim.target.publicKey, node.target.publicKey]),
  extendSilent: extendTo(({ others }) => others.slice(3).map(({ target }) => target.publicKey)),
  loops,
  churn
} as const satisfies Record<string, (field: Field) => Promise<void>>

export type Attack = keyof typeof attacks
