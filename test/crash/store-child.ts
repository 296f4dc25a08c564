/**
 * Writes to the stores in a folder until it is killed: `store-child.ts FOLDER RUN`. Every line on stdout states what a resolved promise stated:
 * `open`, `accepted ID`, `stored ID`, `acked ID`, `given ID` (handed out to the reader), `error CODE`. The last call's line may be missing, never early.
 */
import { writeSync } from 'node:fs'
import { isMeshError } from '../../src/core/base/index.ts'
import { openStores } from '../../src/node/sqlite/stores.ts'
import { generous, inbound, keyOf, outboxRow, unread } from '../node/messages.ts'

const [folder = '', run = '0', limit = 'Infinity'] = process.argv.slice(2)
const batchMessages = 5
const senders = 4
const say = (text: string): void => void writeSync(1, `${text}\n`)
const body = (id: string): Uint8Array => Buffer.from(id.padEnd(512, '.'))

const { deliveryStore, close } = await openStores(folder, {
  onFailure: (error) => {
    say(`error ${error.code}`)
    process.exit(3)
  }
})
say('open')

/** Sequences go on where the store stands, as a sender's do. */
const start = (await deliveryStore.recoverOutbox()).sequences.reduce((highest, { sequence }) => Math.max(highest, sequence), 0)
const left = (): boolean => turns < Number(limit)
let turns = 0
let sequence = start

async function orSay(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!isMeshError(error)) throw error
    say(`error ${error.code}`)
    if (error.code === 'STORE_FAILED') process.exit(3)
  }
}

async function send(sender: number): Promise<void> {
  while (left()) {
    turns += 1
    const number = ++sequence
    const id = `o-${run}-${number}`
    await orSay(async () => {
      const { outcome } = await deliveryStore.enqueue(outboxRow(id, { sequence: number, envelope: body(id) }))
      if (outcome === 'accepted') say(`accepted ${id}`)
      await deliveryStore.settle([{ id, state: 'sent', attempts: 1, path: 'direct', failure: '', settledMs: sender }])
    })
  }
}

async function receive(source: string): Promise<void> {
  let next = start * batchMessages + 1
  while (left()) {
    turns += 1
    const batch = Array.from({ length: batchMessages }, (_, index) => {
      const id = `i-${run}-${source}-${next + index}`
      return inbound(id, next + index, { source: keyOf(source), envelope: body(id) })
    })
    await orSay(async () => {
      const outcomes = await deliveryStore.admit(batch, Math.max(1, next - 30_000), generous)
      outcomes.forEach((outcome, index) => {
        if (outcome.outcome === 'stored') say(`stored ${batch[index]?.id}`)
        if (outcome.outcome === 'refused') say(`refused ${batch[index]?.id} ${outcome.code}`)
      })
    })
    next += batchMessages
  }
}

async function read(): Promise<void> {
  while (left()) {
    turns += 1
    await orSay(async () => {
      const rows = await deliveryStore.listInbox({ ...unread, limit: 20, handOut: true })
      for (const { id } of rows) say(`given ${id}`)
      const acknowledged = rows.filter((_, index) => index % 3 !== 0)
      for (const { id, known, changed } of await deliveryStore.ack(acknowledged.map(({ source, id }) => ({ source, id }))))
        if (known && changed) say(`acked ${id}`)
    })
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

await Promise.all([...Array.from({ length: senders }, (_, index) => send(index)), receive(`a${run}`), receive(`b${run}`), read()])
await close()
say('done')
