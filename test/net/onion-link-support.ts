import { type Cell, cellCommands, cellSizes } from '../../src/core/onion/index.ts'
import type { MeshError } from '../../src/core/base/index.ts'
import { createSigner, createVerifier } from '../../src/crypto/index.ts'
import type { CellLink, LinkHandler, LinkTarget } from '../../src/mesh/onion/cell-link.ts'
import { CellLinks, type CellLinksOptions } from '../../src/mesh/onion/cell-links.ts'
import { DialHost } from '../../src/mesh/onion/link-host.ts'
import type { Refusal } from '../../src/mesh/protocol-host.ts'
import { Tracker } from '../../src/mesh/tracker.ts'
import { onionHosts } from '../../src/node/onion-host.ts'
import { clock, startTestHost, type TestHost, type TestHostOptions, timers, until } from './support.ts'

/** One end of a link, which keeps what it got. */
export class LinkEnd implements LinkHandler {
  readonly link: CellLink
  readonly received: Cell[] = []
  /** Cells that were left out. */
  ignored = 0
  readonly queue: Cell[] = []
  /** How many cells each `take` gave. */
  readonly taken: number[] = []
  circuits = 1
  error: MeshError | undefined
  hasEnded = false
  /** What `receive` returns. */
  gate: () => Promise<void> | undefined = () => undefined

  constructor(link: CellLink) {
    this.link = link
  }

  take(max: number): readonly Cell[] {
    const cells = this.queue.splice(0, max)
    if (cells.length > 0) this.taken.push(cells.length)
    return cells
  }

  receive(cells: readonly Cell[], ignored: number): Promise<void> | undefined {
    this.ignored += ignored
    this.received.push(...cells)
    return this.gate()
  }

  ended(error: MeshError | undefined): void {
    if (this.hasEnded) throw new Error('ended twice')
    this.hasEnded = true
    this.error = error
  }

  send(...cells: readonly Cell[]): void {
    this.queue.push(...cells)
    this.link.wake()
  }
}

export interface LinkNode extends AsyncDisposable {
  readonly host: TestHost
  readonly links: CellLinks
  readonly publicKey: Uint8Array
  readonly signer: CellLinksOptions['signer']
  /** Ends of links that others opened, in order. */
  readonly accepted: LinkEnd[]
  readonly refused: Refusal[]
  /** A link to another node, with this end of it. */
  open(to: Pick<LinkNode, 'publicKey' | 'host'>, as: LinkTarget['as']): Promise<LinkEnd>
}

export type LinkNodeOptions = TestHostOptions &
  Partial<Pick<CellLinksOptions, 'clock' | 'timers' | 'isPaired' | 'hosts'>> & {
    readonly linkLimits?: CellLinksOptions['limits']
    /** Takes no links until its test says how. */ readonly bare?: boolean
  }

/** A libp2p node on 127.0.0.1 that takes links. */
export async function startLinkNode(options: LinkNodeOptions = {}): Promise<LinkNode> {
  const { linkLimits, bare = false, isPaired = () => false, ...hostOptions } = options
  const host = await startTestHost(hostOptions)
  const signer = createSigner(host.seed, 'test')
  const ends = new Map<number, LinkEnd>()
  const accepted: LinkEnd[] = []
  const refused: Refusal[] = []
  const links = new CellLinks({
    libp2p: host.libp2p,
    host: host.host,
    hosts: options.hosts ?? onionHosts({ log: (record) => host.logs.push(record) }),
    signer,
    verifier: createVerifier('test'),
    clock: options.clock ?? clock,
    timers: options.timers ?? timers,
    tracker: new Tracker((what, error) => host.logs.push({ level: 'error', event: what, fields: { code: error.code } })),
    log: (record) => host.logs.push(record),
    onRefused: (refusal) => refused.push(refusal),
    isPaired,
    ...(linkLimits === undefined ? {} : { limits: linkLimits })
  })
  const make = (link: CellLink): LinkEnd => {
    const end = new LinkEnd(link)
    ends.set(link.id, end)
    return end
  }
  const accept = (link: CellLink): LinkEnd => {
    const end = make(link)
    accepted.push(end)
    return end
  }
  if (!bare) await links.serve(accept)
  const open = async (to: Pick<LinkNode, 'publicKey' | 'host'>, as: LinkTarget['as']): Promise<LinkEnd> => {
    const addresses = to.host.libp2p.getMultiaddrs().map(String)
    const link = await links.open({ as, publicKey: to.publicKey, addresses, make })
    return ends.get(link.id) ?? make(link)
  }
  const stop = async (): Promise<void> => {
    await links.stop()
    await host[Symbol.asyncDispose]()
  }
  return { host, links, publicKey: signer.publicKey, signer, accepted, refused, open, [Symbol.asyncDispose]: stop }
}

/** An ephemeral key that opens raw streams of the protocol, as an attacker would. */
export async function startRawOpener(): Promise<DialHost & AsyncDisposable> {
  const host = await onionHosts({ log: () => undefined }).start()
  const opener = new DialHost({ host, clock, timers, log: () => undefined, onRefused: () => undefined })
  return Object.assign(opener, { [Symbol.asyncDispose]: () => opener.stop() })
}

/** The end at `node` of a link that somebody opened to it. */
export async function firstAccepted(node: LinkNode, index = 0): Promise<LinkEnd> {
  await until(() => node.accepted.length > index, 'the link is accepted')
  const end = node.accepted[index]
  if (end === undefined) throw new Error('no link')
  return end
}

/** A RELAY cell that can be told from others. */
export function cellOf(circuit: number, value: number): Cell {
  const body = new Uint8Array(cellSizes.body).fill(value % 251)
  new DataView(body.buffer).setUint32(0, value)
  return { circuit, command: cellCommands.relay, body }
}

export const valueOf = ({ body }: Cell): number => new DataView(body.buffer, body.byteOffset).getUint32(0)
