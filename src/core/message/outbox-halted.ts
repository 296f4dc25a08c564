import { MeshError } from '../base/index.ts'
import type { OutboxInput, OutboxOutput } from './outbox-types.ts'

/** What a machine says whose store has failed: every call is rejected, the rest is ignored. */
export function haltedAnswer(input: OutboxInput): readonly OutboxOutput[] {
  if (input.type !== 'submit' && input.type !== 'cancel' && input.type !== 'retry') return []
  return [{ type: 'rejected', call: input.call, error: new MeshError('STORE_FAILED', { reason: 'it failed before; a restart is needed' }) }]
}
