/** Plays games of tampering until its share of cells is spoilt, in a thread of its own. */
import { parentPort, workerData } from 'node:worker_threads'
import { cellCipher } from '../../src/crypto/cell/index.ts'
import { playTagging } from '../../test/core/onion/tagging-games.ts'
import { collude, tamper } from '../../test/crypto/tampered-cells.ts'

/** What one thread is to play. */
export interface TaggingShare {
  readonly cells: number
  readonly seed: number
}

/** What came of it: cells that were altered or came after an altered one, and how many of them were recognised, delivered, or left a circuit alive. */
export interface TaggingResult {
  readonly backend: string
  readonly machines: number
  readonly layers: number
  readonly wrong: number
}

const gamesAtOnce = 2_000

async function play({ cells, seed }: TaggingShare): Promise<TaggingResult> {
  const { backend, cipher } = await cellCipher()
  let [machines, layers, wrong] = [0, 0, 0]
  for (let turn = 0; machines < cells; turn++) {
    const report = playTagging(cipher, gamesAtOnce, seed + turn)
    machines += report.cells
    wrong += report.recognised + report.delivered + report.alive + report.lostBefore
  }
  for (let turn = 0; layers < cells; turn++)
    for (const report of [tamper(cipher, gamesAtOnce, seed + turn), collude(cipher, gamesAtOnce / 4, seed + turn)]) {
      layers += report.cells
      wrong += report.recognised + report.tags + report.lostBefore
    }
  return { backend, machines, layers, wrong }
}

const share: TaggingShare = workerData
parentPort?.postMessage(await play(share))
