import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isMeshError } from '../../src/core/base/index.ts'
import { openStores } from '../../src/node/sqlite/stores.ts'
import { generous, inbound, keyOf, outboxRow, unread } from '../node/messages.ts'

const skip = process.platform === 'linux' && process.geteuid?.() === 0 ? false : 'skipped: a disk of its own needs root on Linux'

test(
  'a disk that is really full: DISK_FULL, reading goes on, nothing confirmed is lost, and the store goes on by itself',
  { skip, timeout: 60_000 },
  async (t) => {
    const disk = mkdtempSync(join(tmpdir(), 'synaptic-mesh-full-'))
    assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16m,mode=0700', 'none', disk]).status, 0)
    t.after(() => {
      assert.equal(spawnSync('umount', [disk]).status, 0)
      rmdirSync(disk)
    })
    writeFileSync(join(disk, 'ballast'), new Uint8Array(6_000_000))
    const failures: string[] = []
    const stores = await openStores(join(disk, 'state'), { onFailure: (error) => failures.push(error.code) })
    const { deliveryStore } = stores
    const confirmed: string[] = []

    const fill = async (): Promise<string> => {
      for (let sequence = 1; ; sequence++) {
        try {
          const [outcome] = await deliveryStore.admit(
            [inbound(`m${sequence}`, sequence, { envelope: new Uint8Array(40_000).fill(sequence % 251) })],
            1,
            generous
          )
          assert.equal(outcome?.outcome, 'stored')
          confirmed.push(`m${sequence}`)
        } catch (error) {
          assert.ok(isMeshError(error), String(error))
          return error.code
        }
      }
    }

    assert.equal(await fill(), 'DISK_FULL')
    assert.ok(confirmed.length > 50 && statfsSync(disk).bavail < 200)
    await assert.rejects(deliveryStore.enqueue(outboxRow('o1', { envelope: new Uint8Array(200_000) })), { code: 'DISK_FULL' })
    const ids: string[] = []
    for (let after = 0, more = true; more;) {
      const rows = await deliveryStore.listInbox({ ...unread, after })
      for (const { id, position } of rows) {
        ids.push(id)
        after = position
      }
      more = rows.length > 0
    }
    assert.deepEqual(ids, confirmed)

    rmSync(join(disk, 'ballast'))
    assert.deepEqual(await deliveryStore.enqueue(outboxRow('o1', { envelope: new Uint8Array(200_000) })), { outcome: 'accepted' })
    assert.equal((await deliveryStore.ack([{ source: keyOf('source'), id: 'm1' }]))[0]?.changed, true)
    assert.deepEqual(failures, [])
    assert.deepEqual(await stores.checkIntegrity(), [])
    await stores.close()
  }
)
