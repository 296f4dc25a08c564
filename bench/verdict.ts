/** How a bench judges its figures. */
export { type Floor, verdict, verdictOf } from '../scripts/lib/verdict.ts'
