/**
 * What is under way, for work that comes and goes thousands of times a second. A `Set` would do, but V8 keeps the former
 * tables of a set that grows and shrinks linked to its present one: once an old table was promoted, it drags everything
 * that is still in it into the old generation too, and a third of the time goes into collecting garbage. An array whose
 * members know their place has no such past.
 */
export class Roster<T extends { place: number }> {
  /** In no particular order. Removing a member moves the last one into its place. */
  readonly members: T[] = [];

  add(member: T): void {
    member.place = this.members.push(member) - 1;
  }

  /** Takes a member out; one that is not in does no harm. */
  remove(member: T): void {
    const { place } = member;
    if (place < 0) return;
    const last = this.members.pop() as T;
    if (last !== member) {
      this.members[place] = last;
      last.place = place;
    }
    member.place = -1;
  }
}
