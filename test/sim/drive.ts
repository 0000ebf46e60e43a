const STEPS_A_BATCH = 64;

/**
 * Runs `step` until it answers false. Between two steps every promise that can settle does, as between two callbacks of
 * a real event loop: Node drains its microtasks after each immediate, and a batch of immediates costs one turn of the loop.
 */
export function drive(step: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let over = false;
    const one = (): void => {
      if (over) return;
      try {
        over = !step();
      } catch (error) {
        over = true;
        reject(error);
      }
    };
    const batch = (): void => {
      if (over) return resolve();
      for (let i = 0; i < STEPS_A_BATCH; i++) setImmediate(one);
      setImmediate(batch);
    };
    batch();
  });
}
