import { isMeshError, MeshError, type Millis, toMeshError } from '../../core/base/index.ts'
import { type Cell, cellCommands, cellSizes, decodeCells, encodeCells, isLinkProof, linkKinds, maxFrameCells } from '../../core/onion/index.ts'
import type { FrameStream } from '../frame-stream.ts'
import type { CellLink, LinkHandler, LinkPeer, MakeHandler } from './cell-link.ts'
import { LinkPulse } from './link-pulse.ts'

export interface FrameLinkOptions {
  readonly id: number
  readonly opener: CellLink['opener']
  readonly peer: LinkPeer
  readonly stream: FrameStream
  /** Those of the stream, when somebody has read some of them already. */
  readonly frames?: AsyncIterator<Uint8Array>
  readonly now: () => Millis
}

const finished: IteratorResult<Uint8Array> = { done: true, value: undefined }

/** A link over one stream. At most one frame waits in the stream's writer, so that what goes next is decided as late as it can be. */
export class FrameLink implements CellLink {
  readonly id: number
  readonly opener: CellLink['opener']
  readonly peer: LinkPeer
  readonly #stream: FrameStream
  readonly #frames: AsyncIterator<Uint8Array>
  readonly #now: () => Millis
  readonly #pulse: LinkPulse
  #handler: LinkHandler | undefined
  /** Of the link itself: sent before those of circuits. */
  #own: Cell | undefined
  #isReceiving = false
  #usedAt: Millis
  #isScheduled = false
  #isSending = false
  #isClosing = false
  #hasEnded = false
  /** Lets a link that ended go on although its handler has not taken the last cells. */
  #release: () => void = () => undefined

  constructor({ id, opener, peer, stream, frames, now }: FrameLinkOptions) {
    this.id = id
    this.opener = opener
    this.peer = peer
    this.#stream = stream
    this.#frames = frames ?? stream.frames()[Symbol.asyncIterator]()
    this.#now = now
    this.#usedAt = now()
    this.#pulse = new LinkPulse(now())
  }

  get hasEnded(): boolean {
    return this.#hasEnded || this.#isClosing
  }

  /** For how many ms no circuit ran over it. */
  get idleMs(): number {
    if ((this.#handler?.circuits ?? 0) > 0) this.#usedAt = this.#now()
    return this.#now() - this.#usedAt
  }

  /** To be called every few seconds by the opener: asks the other end for a cell when none came for long, and ends the link when none comes then. */
  beat(): void {
    // Whoever is busy with what came has heard something.
    if (this.#isReceiving) this.#pulse.heard(this.#now())
    const todo = this.#pulse.check(this.#now(), (this.#handler?.circuits ?? 0) > 0)
    if (todo === 'dead') this.close(new MeshError('PEER_UNREACHABLE', { peer: this.#stream.peerId, reason: 'its link is silent' }))
    else if (todo === 'ask') this.#sendOwn(probe)
  }

  /** The way to the other end may be gone: it is asked now; `beat` in 3 s ends the link if it has not answered. */
  doubt(): void {
    this.#pulse.doubt(this.#now())
    this.#sendOwn(probe)
  }

  wake(): void {
    if (this.#isScheduled || this.#isSending || this.#handler === undefined || this.hasEnded) return
    this.#isScheduled = true
    queueMicrotask(() => void this.#pump())
  }

  close(reason?: MeshError): void {
    if (this.hasEnded) return
    if (reason !== undefined) return this.#stream.abort(reason)
    this.#isClosing = true
    void this.#stream.close()
  }

  /** Runs the link until it ends, beginning with cells that were read already. @throws {MeshError} for what ended it, when that was no orderly end */
  async run(make: MakeHandler, first: readonly Cell[] = []): Promise<void> {
    let handler: LinkHandler | undefined
    try {
      handler = this.#handler = make(this)
      void this.#stream.closed.then(() => this.#release())
      this.wake()
      await this.#receive(handler, first)
      for (let next = await this.#frames.next(); next.done !== true; next = await this.#nextFrame())
        await this.#receive(handler, decodeCells(next.value))
      void this.#stream.close()
      this.#end(handler, undefined)
    } catch (thrown) {
      const error = toMeshError(thrown)
      this.#stream.abort(error)
      this.#end(handler, error)
      throw error
    }
  }

  #nextFrame(): Promise<IteratorResult<Uint8Array>> {
    return this.#isClosing ? Promise.resolve(finished) : this.#frames.next()
  }

  async #receive(handler: LinkHandler, cells: readonly Cell[]): Promise<void> {
    this.#pulse.heard(this.#now())
    if (cells.some(isProbe)) this.#sendOwn(padding)
    const real = cells.some(isOwn) ? cells.filter((cell) => !isOwn(cell)) : cells
    if (real.some(isProof)) throw new MeshError('CIRCUIT_VIOLATION', { reason: 'a link proves an identity in its first cell or not at all' })
    if (cells.length === 0 || this.#isClosing) return
    const pending = handler.receive(real, cells.length - real.length)
    if (pending === undefined) return
    this.#isReceiving = true
    try {
      await new Promise<void>((resolve, reject) => {
        this.#release = resolve
        pending.then(resolve, reject)
      })
    } finally {
      this.#isReceiving = false
    }
  }

  #sendOwn(cell: Cell): void {
    this.#own = cell
    this.wake()
  }

  /** The next cells; none: nothing waits. */
  #next(handler: LinkHandler): readonly Cell[] {
    const own = this.#own
    if (own === undefined) return handler.take(maxFrameCells)
    this.#own = undefined
    return [own, ...handler.take(maxFrameCells - 1)]
  }

  async #pump(): Promise<void> {
    this.#isScheduled = false
    const handler = this.#handler
    if (handler === undefined || this.hasEnded) return
    this.#isSending = true
    try {
      for (let cells = this.#next(handler); cells.length > 0 && !this.hasEnded; cells = this.#next(handler)) {
        await this.#stream.send(encodeCells(cells))
        await this.#stream.flush()
      }
    } catch (thrown) {
      // A stream that ended says so to its reader as well.
      if (!isMeshError(thrown, 'PEER_UNREACHABLE')) this.#stream.abort(toMeshError(thrown))
    } finally {
      this.#isSending = false
    }
  }

  #end(handler: LinkHandler | undefined, error: MeshError | undefined): void {
    this.#hasEnded = true
    handler?.ended(error)
  }
}

const padding: Cell = { circuit: 0, command: cellCommands.padding, body: new Uint8Array(cellSizes.body) }
const probe: Cell = { circuit: 0, command: cellCommands.link, body: new Uint8Array(cellSizes.body).fill(linkKinds.probe, 0, 1) }

const isProbe = ({ command, body }: Cell): boolean => command === cellCommands.link && body[0] === linkKinds.probe
/** Of no concern to circuits. */
const isOwn = (cell: Cell): boolean => cell.command === cellCommands.padding || isProbe(cell)
const isProof = ({ command, body }: Cell): boolean => command === cellCommands.link && isLinkProof(body)
