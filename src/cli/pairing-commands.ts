import type { Catalogue, InputOf } from '../api/index.ts'
import type { CommandContext } from './context.ts'
import { verbatim } from './layout.ts'
import { pairedLines } from './pairing-lines.ts'
import { RemoteDaemon } from './remote.ts'
import { timeOf } from './text.ts'

/** The invite on stdout, what to do with it on stderr; with --wait the peer that used it after it. */
export async function invite(input: InputOf<Catalogue['invite']>, context: CommandContext): Promise<void> {
  const { output } = context
  const { wait, qr, timeoutMs, ...asked } = input
  output.progress('making an invite')
  await using daemon = new RemoteDaemon(context)
  const answer = await daemon.call('invite', asked)
  output.note(`for one peer, until ${timeOf(answer.expiresAt)}; there: synaptic-mesh p2p join INVITE`)
  if (answer.note !== undefined) output.note(answer.note)
  const code = qr === true && !output.isJson ? await qrCode(answer.invite, context) : []
  await output.result(answer, (value) => [...verbatim(value.invite), ...code.flatMap(verbatim)])
  if (wait !== true) return output.note(`when it was used, the three words to compare: ${output.proposal(`invite wait ${answer.id}`)}`)
  output.note('waiting for the peer; Ctrl-C ends the waiting, not the invite')
  output.progress('waiting for the peer')
  const paired = await daemon.call('inviteWait', { id: answer.id, timeoutMs })
  await output.result({ ...answer, paired }, () => pairedLines(paired, output))
}

/** The code as lines; when it does not fit, a word about that on stderr. */
async function qrCode(text: string, { output }: CommandContext): Promise<readonly string[]> {
  const { qrLines } = await import('./qr.ts')
  const columns = output.columns()
  const code = qrLines(text, { columns, coloured: output.paint('bold', '') !== '' })
  if ('lines' in code) return code.lines
  output.note(`its QR code needs ${code.needs} columns, this terminal has ${columns}: make it wider, or hand the invite over as text`)
  return []
}
