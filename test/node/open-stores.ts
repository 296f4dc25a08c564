import type { TestContext } from 'node:test'
import { join } from 'node:path'
import { type Stores, type StoreWatch, openStores } from '../../src/node/sqlite/stores.ts'
import { temporaryFolder } from './temp.ts'

/** Stores in a folder of their own, closed after the test; `reopen` closes them and opens what is on the disk. */
export async function testStores(
  context: TestContext,
  watch: StoreWatch = {}
): Promise<{ readonly stores: Stores; readonly folder: string; reopen(): Promise<Stores> }> {
  const folder = join(temporaryFolder(context), 'state')
  const stores = await openStores(folder, watch)
  const opened = [stores]
  context.after(() => Promise.all(opened.map((each) => each.close())))
  const reopen = async (): Promise<Stores> => {
    await opened.at(-1)?.close()
    const again = await openStores(folder, watch)
    opened.push(again)
    return again
  }
  return { stores, folder, reopen }
}
