import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Handler } from './context.ts'

export const upkeep: Handler<'upkeep'> = async ({ deep }, { mesh }) => {
  const { clockStepMs, clocks, comparedClocks, inbox, outbox, store } = await mesh.upkeep.check({ deep })
  const { inboxMaxMessages, inboxMaxBytes, outboxMaxMessages, outboxMaxBytes } = mesh.options
  return {
    clockStepMs,
    comparedClocks,
    clocks: clocks.map(({ peerId, name, aheadMs }) => ({ peerId, name, aheadMs })),
    inbox: { ...inbox, maxMessages: inboxMaxMessages, maxBytes: inboxMaxBytes },
    outbox: { ...outbox, maxMessages: outboxMaxMessages, maxBytes: outboxMaxBytes },
    ...(store === undefined ? {} : { store: { problems: [...store.problems], messages: store.messages, damaged: store.damaged } })
  }
}

/** The place is the daemon's own choice: no caller makes it write elsewhere. */
export const snapshot: Handler<'snapshot'> = async (_input, { mesh, self }) => {
  const file = join(self.stateFolder, 'mesh.db.snapshot')
  rmSync(file, { force: true })
  await mesh.upkeep.snapshot(file)
  return { file }
}
