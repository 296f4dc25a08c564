import { type CellCipher, cellCommands, cellSizes } from '../../src/core/onion/index.ts'
import { type CellBackend, cellBackends } from '../../src/crypto/cell/index.ts'
import type { Floor } from '../verdict.ts'
import { type Section, cpuSeconds, median } from './section.ts'

/** Cells of one turn: some 20 to 50 ms for each. */
const cellsOfTurn: Readonly<Record<CellBackend, number>> = { native: 10_000, wasm: 6_000, noble: 500 }
const names = ['native', 'wasm', 'noble'] as const satisfies readonly CellBackend[]
type Step = 'encrypt' | 'decrypt'

/** Cells a second of CPU for one layer: IVs, four rounds, chain, and the copies in and out. */
function rate(cipher: CellCipher, step: Step, count: number): number {
  const layer = cipher.layer({ keys: new Uint8Array(128).fill(1), chain: new Uint8Array(32).fill(2) })
  const body = new Uint8Array(cellSizes.cell).subarray(cellSizes.header)
  const seconds = cpuSeconds(() => {
    for (let index = 0; index < count; index++) layer[step](cellCommands.relay, body)
  })
  layer.wipe()
  return count / seconds
}

type Rates = Readonly<Record<CellBackend, number>>

async function measure(rounds: number): Promise<{ readonly rounds: readonly Rates[]; readonly present: readonly CellBackend[] }> {
  const ciphers = await Promise.all(names.map(async (name) => [name, await cellBackends[name]().catch(() => undefined)] as const))
  const found: Rates[] = []
  for (let round = -2; round < rounds; round++) {
    const rates: Record<CellBackend, number> = { native: Number.NaN, wasm: Number.NaN, noble: Number.NaN }
    // Both steps take part: relays run the one, clients the other, and they cost the same.
    for (const [name, cipher] of ciphers)
      if (cipher !== undefined) rates[name] = rate(cipher, round % 2 === 0 ? 'encrypt' : 'decrypt', cellsOfTurn[name])
    if (round >= 0) found.push(rates)
  }
  return { rounds: found, present: ciphers.flatMap(([name, cipher]) => (cipher === undefined ? [] : [name])) }
}

/** The whole step of rule O1 for one cell and one layer, by each backend that there is, held against noble in the same run. */
export const cipher: Section = {
  name: 'cipher',
  run: async (rounds) => {
    const { rounds: found, present } = await measure(rounds)
    const middle = (name: CellBackend): number => median(found.map((each) => each[name]))
    process.stdout.write(`One layer over one cell, medians of ${found.length} rounds\n`)
    for (const name of present) {
      const cells = middle(name)
      process.stdout.write(
        `  ${name.padEnd(8)} ${(1_000_000 / cells).toFixed(2).padStart(7)} us ${Math.round(cells).toLocaleString('en-US').padStart(10)} cells/s\n`
      )
    }
    const noble = middle('noble')
    return present
      .filter((name) => name !== 'noble')
      .flatMap((name): readonly Floor[] => [
        {
          name: `cell cipher, ${name}`,
          value: middle(name),
          unit: 'cells/s a core',
          atLeast: 45_000,
          reference: { name: 'noble', value: noble, ratioAtLeast: 3 }
        },
        { name: `cell cipher, ${name} / noble`, value: median(found.map((each) => each[name] / each.noble)), unit: 'times', atLeast: 3 }
      ])
  }
}
