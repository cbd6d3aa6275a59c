package cache

// OnStep calls step at each step of a write.
func (c *Cache) OnStep(step func(name string)) { c.step = step }
