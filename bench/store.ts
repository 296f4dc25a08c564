/** Writes to the stores from another thread, 50 messages of 1 KiB a request, with synchronous=FULL: rows a second, latency, restart. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { AdmissionLimits, InboundMessage } from '../src/core/message/index.ts'
import { millis, wallMillis } from '../src/core/base/index.ts'
import { sha256 } from '../src/crypto/index.ts'
import { openStores } from '../src/node/sqlite/stores.ts'
import { verdict } from './verdict.ts'

const { values } = parseArgs({ options: { rows: { type: 'string', default: '50000' } } })
const [rows, batchRows, inFlight] = [Number(values.rows), 50, 4]
const limits: AdmissionLimits = {
  paired: true,
  commands: true,
  blocked: false,
  maxMessages: 1e9,
  maxBytes: 1e15,
  maxMessagesOfSource: 1e9,
  maxBytesOfSource: 1e15
}
const [source, epoch] = [new Uint8Array(randomBytes(32)), new Uint8Array(randomBytes(16))]
const received = { bootId: 'boot', monotonic: millis(1), wall: wallMillis(1) }
const proof = new Uint8Array(randomBytes(400))

function message(sequence: number): InboundMessage {
  const envelope = new Uint8Array(randomBytes(1_024))
  return {
    source,
    via: 'direct',
    epoch,
    sequence,
    id: `m${sequence}`,
    type: 'Thought',
    priority: 5,
    digest: sha256(envelope),
    envelope,
    proof,
    received,
    ttlMs: 1
  }
}

/** Rows a second of node:sqlite alone: one table, no index, no thread between, the same bytes in the same transactions. */
function plainRate(transactions: number): number {
  const database = new DatabaseSync(join(base, 'plain.db'))
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE rows (id INTEGER PRIMARY KEY, envelope BLOB, proof BLOB)')
  const insert = database.prepare('INSERT INTO rows (envelope, proof) VALUES (?, ?)')
  const envelope = new Uint8Array(randomBytes(1_024))
  const before = performance.now()
  for (let transaction = 0; transaction < transactions; transaction++) {
    database.exec('BEGIN')
    for (let row = 0; row < batchRows; row++) insert.run(envelope, proof)
    database.exec('COMMIT')
  }
  const seconds = (performance.now() - before) / 1_000
  database.close()
  return (transactions * batchRows) / seconds
}

const median = (times: readonly number[]): number => times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN
const say = (text: string): void => void process.stdout.write(`${text}\n`)
const base = mkdtempSync(join(tmpdir(), 'synaptic-mesh-store-bench-'))
try {
  const stores = await openStores(join(base, 'state'))
  const batches = Array.from({ length: Math.ceil(rows / batchRows) }, (_, batch) =>
    Array.from({ length: batchRows }, (_, index) => message(batch * batchRows + index + 1))
  )
  const plain = plainRate(batches.length)
  const started = performance.now()
  const waiting: Promise<unknown>[] = []
  for (const batch of batches) {
    waiting.push(stores.deliveryStore.admit(batch, batch[0]?.sequence ?? 1, limits))
    if (waiting.length >= inFlight) await waiting.shift()
  }
  await Promise.all(waiting)
  const rate = (batches.length * batchRows * 1_000) / (performance.now() - started)

  const times: number[] = []
  for (let index = 0; index < 200; index++) {
    const one = message(batches.length * batchRows + index + 1)
    const before = performance.now()
    await stores.deliveryStore.admit([one], one.sequence, limits)
    times.push(performance.now() - before)
  }
  await stores.close()
  const before = performance.now()
  const again = await openStores(join(base, 'state'))
  const { unread } = await again.deliveryStore.inboxCounts()
  const restartMs = performance.now() - before
  await again.close()
  say(
    `${batches.length * batchRows} rows of 1 KiB, ${batchRows} a request, ${inFlight} requests in flight, synchronous=FULL: ${Math.round(rate)} rows/s`
  )
  say(`one row alone: p50 ${median(times).toFixed(2)} ms`)
  say(`restart with ${unread} unread rows, checked as a whole: ${Math.round(restartMs)} ms`)
  verdict([
    {
      name: 'rows a second',
      value: rate,
      unit: 'rows/s',
      atLeast: 10_000,
      reference: { name: 'node:sqlite alone', value: plain, ratioAtLeast: 0.2 }
    },
    { name: 'one row p50', value: median(times), unit: 'ms', atMost: 15 },
    { name: 'restart', value: restartMs, unit: 'ms', atMost: 2_000 }
  ])
} finally {
  rmSync(base, { recursive: true, force: true })
}
