import type { Random } from '../../../src/core/base/index.ts'
import { nobleCells } from '../../../src/core/onion/cell-cipher.ts'
import { handshakeCells, joinHandshake } from '../../../src/core/onion/cell.ts'
import type { RelayMessage } from '../../../src/core/onion/relay-message.ts'
import { MessageAssembler, packMessages } from '../../../src/core/onion/relay-messages.ts'
import { type Cell, type CellCommand, cellCommands, type CellLayer, cellSizes } from '../../../src/core/onion/types.ts'
import { cheapCrypto } from './cheap-crypto.ts'
import type { Outsider, RelayWorld, WorldNode } from './relay-world.ts'

/** A circuit of one hop whose cells are made by hand. */
export class HandCircuit {
  readonly outsider: Outsider
  readonly circuit: number
  readonly #layers: { readonly forward: CellLayer; readonly backward: CellLayer }
  readonly #random: Random

  /** Builds it: settles the world. */
  constructor(world: RelayWorld, { to, outsider, circuit }: { readonly to: WorldNode; readonly outsider: Outsider; readonly circuit: number }) {
    this.outsider = outsider
    this.circuit = circuit
    this.#random = world.random
    const handshake = cheapCrypto(new Uint8Array(32), world.random).begin(to.target, 3)
    outsider.send(...handshakeCells(circuit, { command: cellCommands.create, bytes: handshake.request }, world.random))
    world.settle()
    const [first, second] = outsider.of(cellCommands.created, circuit)
    if (first === undefined || second === undefined) throw new Error('no CREATED')
    const keys = handshake.finish(joinHandshake(cellCommands.created, first.body, second.body))
    this.#layers = { forward: nobleCells.layer(keys.forward), backward: nobleCells.layer(keys.backward) }
  }

  /** The cells that carry messages to the hop. */
  cells(messages: readonly RelayMessage[], command: CellCommand = cellCommands.relay): readonly Cell[] {
    return packMessages(messages, this.#random).map((body) => {
      this.#layers.forward.decrypt(command, body)
      return { circuit: this.circuit, command, body }
    })
  }

  send(messages: readonly RelayMessage[], command: CellCommand = cellCommands.relay): void {
    this.outsider.send(...this.cells(messages, command))
  }

  /** A recognised cell with anything in it. */
  sendPlain(bytes: Uint8Array): void {
    const body = new Uint8Array(cellSizes.body)
    body.set(bytes.subarray(0, cellSizes.plain), cellSizes.recognised)
    this.#layers.forward.decrypt(cellCommands.relay, body)
    this.outsider.send({ circuit: this.circuit, command: cellCommands.relay, body })
  }

  /** EXTEND to somebody, with a request that he may answer or not. */
  extend(publicKey: Uint8Array): void {
    this.send([{ type: 'extend', publicKey, request: this.#random.bytes(cellSizes.create) }], cellCommands.relayEarly)
  }

  /** What the hop says in the cells that came since the last call. */
  messages(): readonly RelayMessage[] {
    const cells = this.outsider.of(cellCommands.relay, this.circuit)
    const fresh = cells.slice(this.#read)
    this.#read = cells.length
    return fresh.flatMap(({ command, body }) => {
      this.#layers.backward.decrypt(command, body)
      return this.#assembler.take(body, false).messages.map(({ message }) => message)
    })
  }

  #read = 0
  readonly #assembler = new MessageAssembler()

  get isDestroyed(): boolean {
    return this.outsider.of(cellCommands.destroy, this.circuit).length > 0
  }
}
