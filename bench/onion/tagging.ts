import { cellCipher } from '../../src/crypto/cell/index.ts'
import { collude, tamper } from '../../test/crypto/tampered-cells.ts'
import type { Section } from './section.ts'

const games = 1_000_000
const gamesAtOnce = 50_000

/** A million games of test/crypto/tampered-cells.ts with seeds from SEED on (1 by default); the suite plays ten thousand. */
export const tagging: Section = {
  name: 'tagging',
  isOnRequest: true,
  run: async () => {
    const { backend, cipher } = await cellCipher()
    let [cells, wrong] = [0, 0]
    const firstSeed = Number(process.env['SEED'] ?? 1)
    for (let turn = 0; turn < games / gamesAtOnce; turn++) {
      for (const report of [tamper(cipher, gamesAtOnce, firstSeed + turn), collude(cipher, gamesAtOnce / 10, firstSeed + turn)]) {
        cells += report.cells
        wrong += report.recognised + report.tags + report.lostBefore
      }
    }
    process.stdout.write(`Tampered ${games} times by ${backend}, seeds from ${firstSeed}: ${cells} cells altered or after an altered one\n`)
    return [{ name: 'cells recognised, or tags that fit', value: wrong, unit: '', atMost: 0 }]
  }
}
