import { MeshError } from '../../core/base/index.ts'
import { eventNames } from '../../api/catalogue/gateway.ts'
import { isCursor, maxReaders } from '../gateway/event-feed.ts'
import { type Context, type Handler, present, type StreamHandler } from './context.ts'

const defaultPort = ({ mesh }: Context): number => mesh.options.gatewayPort

export const gateway: StreamHandler<'gateway'> = async function* ({ port, print }, context) {
  const { started, ...place } = await context.gateway.start(port ?? defaultPort(context))
  try {
    yield { ...place, started, tokenFolder: context.gateway.tokenFolder, tokens: context.gateway.tokens.size }
    if (started && !print) await gone(context.signal)
  } finally {
    if (started && !print) await context.gateway.stop()
  }
}

async function gone(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => resolve(), { once: true })
  if (signal.aborted) resolve()
  await promise
}

export const gatewayStop: Handler<'gatewayStop'> = async (_input, context) => ({ stopped: await context.gateway.stop() })

export const tokenCreate: Handler<'tokenCreate'> = async ({ name, scope, expiresInS }, context) => {
  const { token, createdAt, expiresAt } = context.gateway.tokens.create({ name, scope, expiresInS })
  return { name, scope, createdAt, ...present({ expiresAt }), token }
}

export const tokenList: Handler<'tokenList'> = async (_input, context) => ({
  tokens: context.gateway.tokens.list().map(({ name, scope, createdAt, expiresAt, usedAt }) => ({
    name,
    scope,
    createdAt,
    ...present({ expiresAt, usedAt }),
    expired: expiresAt !== undefined && expiresAt <= Date.now()
  }))
})

export const tokenRevoke: Handler<'tokenRevoke'> = async ({ name }, context) => {
  context.gateway.tokens.revoke(name)
  context.gateway.dropConnections()
  return { name, revoked: true }
}

export const events: StreamHandler<'events'> = ({ after, event, count }, { feed, signal }) => {
  if (after !== undefined && !isCursor(after))
    throw new MeshError('OPTION_INVALID', { path: 'after', value: JSON.stringify(after), allowed: 'a cursor of an event, or 0' })
  if (feed.readers >= maxReaders) throw new MeshError('GATEWAY_BUSY', { what: 'readers of events', max: maxReaders })
  return limited(feed.read({ after, events: event ?? eventNames, signal }), count)
}

/** Items until `count` events were among them. */
async function* limited<Item extends { readonly event: string }>(items: AsyncIterable<Item>, count = Infinity): AsyncGenerator<Item> {
  let left = count
  for await (const item of items) {
    yield item
    if (item.event !== 'live' && item.event !== 'missed') left--
    if (left <= 0) return
  }
}
