// Runs attacks, for a test that is root, as a user who is not: that user's sealer, and attackers who could look into it.
import { attack, prepareAttackers } from './attack.js'

const attackers = await prepareAttackers()

process.on('disconnect', () => void attackers[Symbol.asyncDispose]().then(() => process.exit(0)))
process.on('message', ({ id, command }: { readonly id: number, readonly command: string }) => {
  attack(command, attackers, 'by itself').then((result) => process.send?.({ id, result }), (error: unknown) => process.send?.({ id, result: String(error) }))
})
process.send?.({ id: 0, result: null })
