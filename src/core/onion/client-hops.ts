import type { Random } from '../base/index.ts'
import { CircuitEnd, type RelayCellCommand } from './circuit-end.ts'
import { isRecognised } from './recognised.ts'
import type { CellCipher, CellCommand, CellLayer, DirectionKeys, LayerKeys } from './types.ts'

/** A hop as the client has it: the layers of both directions, and its end of what runs over them. */
interface Hop {
  readonly forward: CellLayer
  readonly backward: CellLayer
  readonly end: CircuitEnd
}

export interface ClientHopsOptions {
  readonly cipher: CellCipher
  readonly random: Random
  /** Which command the next cell that is no EXTEND goes out with. */
  readonly command: () => RelayCellCommand
}

/** The layers of a client's circuit. Hops are numbered from 1. */
export class ClientHops {
  readonly #options: ClientHopsOptions
  readonly #hops: Hop[] = []

  constructor(options: ClientHopsOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#hops.length
  }

  /** The end of a layer; undefined when there is no such hop. */
  end(hop: number): CircuitEnd | undefined {
    return this.#hops[hop - 1]?.end
  }

  /** Adds the next hop with the keys of its handshake, which are wiped. */
  add(keys: LayerKeys): void {
    const { cipher, random, command } = this.#options
    const forward = cipher.layer(keys.forward)
    const backward = cipher.layer(keys.backward)
    wipeKeys(keys)
    const number = this.#hops.length + 1
    const layers = {
      seal: (of: RelayCellCommand, body: Uint8Array) => this.#seal(number, of, body),
      sentTag: () => forward.tag(),
      receivedTag: () => backward.tag()
    }
    this.#hops.push({ forward, backward, end: new CircuitEnd({ role: 'client', layers, random, command }) })
  }

  /** Takes the layers off a body that came in, in place; returns the hop that it is of, undefined when it is of none. */
  peel(command: CellCommand, body: Uint8Array): number | undefined {
    for (const [index, { backward }] of this.#hops.entries()) {
      backward.decrypt(command, body)
      if (isRecognised(body)) return index + 1
    }
    return undefined
  }

  /** Forgets all keys. */
  wipe(): void {
    for (const { forward, backward } of this.#hops) {
      forward.wipe()
      backward.wipe()
    }
    this.#hops.length = 0
  }

  /** Relays encrypt in both directions, so the client decrypts what it sends: the layer of the hop that it is for first. */
  #seal(hop: number, command: CellCommand, body: Uint8Array): void {
    for (let index = hop - 1; index >= 0; index--) this.#hops[index]?.forward.decrypt(command, body)
  }
}

function wipeKeys({ forward, backward, binding }: LayerKeys): void {
  const wipe = ({ keys, chain }: DirectionKeys): void => {
    keys.fill(0)
    chain.fill(0)
  }
  wipe(forward)
  wipe(backward)
  binding.fill(0)
}
