import { MeshError } from '../../core/base/index.ts'
import type { Handler } from './context.ts'

export const inboxConsumers: Handler<'inboxConsumers'> = async ({ action, name }, { mesh: { inbox } }) => {
  if (action === 'list' && name !== undefined) throw new MeshError('USAGE', { problem: `To register the reader: inbox consumers add ${name}` })
  if (action !== 'list' && name === undefined) throw new MeshError('USAGE', { problem: `Whom to ${action}: inbox consumers ${action} NAME` })
  if (action === 'add') await inbox.useConsumer(name ?? '')
  if (action === 'remove') await inbox.removeConsumer(name ?? '')
  return { consumers: [...(await inbox.consumers())] }
}

export const agentAdd: Handler<'agentAdd'> = async ({ label }, { mesh }) => ({ label, added: await mesh.agents.add(label) })

export const agentList: Handler<'agentList'> = async (_input, { mesh }) => ({ agents: [...(await mesh.agents.list())] })

export const agentRemove: Handler<'agentRemove'> = async ({ label }, { mesh }) => {
  await mesh.agents.remove(label)
  return { label }
}
