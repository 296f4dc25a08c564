/**
 * The delivery path once, from an empty folder to a closed store: `sweep-child.ts FOLDER [TRIES]`. Prints the same lines as store-child.ts, and `done`.
 * A step that fails with DISK_FULL is tried again, up to TRIES times. Every failure is a line `error CODE`; a value that is no named error is `unnamed …`.
 */
import { writeSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { MeshError, wallMillis } from '../../src/core/base/index.ts'
import { ensureIdentity } from '../../src/node/identity.ts'
import { type Stores, openStores } from '../../src/node/sqlite/stores.ts'
import { generous, inbound, instant, keyOf, outboxRow, unread } from '../node/messages.ts'

const [folder = '', tries = '1'] = process.argv.slice(2)
const say = (text: string): void => void writeSync(1, `${text}\n`)
const body = (id: string): Uint8Array => Buffer.from(id.padEnd(3_000, '.'))

async function step(work: () => Promise<void>): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    try {
      await work()
      return true
    } catch (error) {
      say(error instanceof MeshError ? `error ${error.code}` : `unnamed ${String(error)}`)
      if (!(error instanceof MeshError) || error.code !== 'DISK_FULL' || attempt >= Number(tries)) return false
      await wait(2)
    }
  }
}

async function deliver({ deliveryStore, peerStore }: Stores): Promise<void> {
  const batch = [1, 2, 3].map((sequence) => inbound(`i-${sequence}`, sequence, { envelope: body(`i-${sequence}`) }))
  await step(async () => void (await deliveryStore.recoverOutbox()))
  await step(() =>
    peerStore.savePair({ publicKey: keyOf('p'), peerId: 'p', name: 'p', alias: '', addresses: [], pairedAt: wallMillis(1), commands: true })
  )
  for (let sequence = 1; sequence <= 3; sequence++) {
    const row = outboxRow(`o-${sequence}`, { sequence, envelope: body(`o-${sequence}`) })
    await step(async () => {
      await deliveryStore.enqueue(row)
      say(`accepted ${row.id}`)
    })
  }
  await step(async () => {
    const outcomes = await deliveryStore.admit(batch, 1, generous)
    for (const [index, { outcome }] of outcomes.entries()) if (outcome === 'stored') say(`stored ${batch[index]?.id}`)
  })
  await step(async () => {
    for (const { id } of await deliveryStore.listInbox({ ...unread, handOut: true })) say(`given ${id}`)
  })
  await step(async () => {
    for (const { id, known } of await deliveryStore.ack(batch.slice(0, 2).map(({ source, id }) => ({ source, id })))) if (known) say(`acked ${id}`)
  })
  await step(() => deliveryStore.settle([{ id: 'o-1', state: 'stored', attempts: 1, path: 'direct', failure: '', settledMs: 3 }]))
  await step(() => deliveryStore.prune(instant()))
}

const isReady = await step(async () => void (await ensureIdentity(`${folder}/identity.key`)))
let stores: Stores | undefined
if (isReady) {
  await step(async () => {
    stores = await openStores(folder)
  })
}
if (stores !== undefined) {
  await deliver(stores)
  await stores.close()
}
say('done')
