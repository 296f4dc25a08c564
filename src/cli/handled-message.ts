import { isMessageId } from '../core/message/field-rules.ts'
import { MeshError } from '../core/base/index.ts'

/** The variable that names the message which a handler of `listen --exec` works on. */
const variable = 'SYNAPTIC_MESH_MESSAGE'

/** What is sent from inside of a handler is an agent's, and sent because of the message that it handles. @throws {MeshError} OPTION_INVALID */
export function handledMessage(environment: NodeJS.ProcessEnv): { readonly automatic: true; readonly cause: string } | undefined {
  const cause = environment[variable]
  if (cause === undefined || cause === '') return undefined
  if (!isMessageId(cause)) throw new MeshError('OPTION_INVALID', { path: variable, value: cause.slice(0, 80), allowed: 'the id of a message' })
  return { automatic: true, cause }
}
