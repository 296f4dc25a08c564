import type { Output } from '../output.ts'
import { safe, safeBody } from '../output.ts'
import { milliseconds, seconds } from '../text.ts'
import type { HandledReport } from './dispatcher.ts'

/** What people are shown of one try to handle a message. */
export function handledLines(report: HandledReport, output: Output): readonly string[] {
  const { outcome, attempt, attempts, reason, retryInMs, dropped } = report
  const which = `${report.type} ${safe(report.handled)} from ${safe(report.name)}`
  const why = reason === undefined ? '' : `: ${safe(reason)}`
  const left = report.delivery === 'volatile' ? '' : '; it is left in the inbox, unread'
  const cut = dropped.stdout + dropped.stderr
  return [
    `${markOf(outcome, output)} ${which} ${
      outcome === 'acknowledged'
        ? `handled in ${milliseconds(report.ms)}${report.reply === undefined ? '' : `, answered with ${safe(report.reply)}`}`
        : outcome === 'failed'
          ? `attempt ${attempt} of ${attempts} failed${why}; again in ${seconds(retryInMs ?? 0)}`
          : outcome === 'given-up'
            ? `given up after ${attempt === 1 ? '1 attempt' : `${attempt} attempts`}${why}${left}`
            : `interrupted${why}${left}`
    }`,
    ...(report.stdout === '' ? [] : [safeBody(report.stdout.trimEnd())]),
    ...(cut === 0 ? [] : [`  ${cut} bytes of its output were dropped`])
  ]
}

function markOf(outcome: HandledReport['outcome'], output: Output): string {
  switch (outcome) {
    case 'acknowledged':
      return output.paint('green', '✓')
    case 'failed':
    case 'interrupted':
      return output.paint('yellow', '…')
    case 'given-up':
      return output.paint('red', '✗')
  }
}
