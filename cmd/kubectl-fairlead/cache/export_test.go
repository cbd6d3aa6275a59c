package cache

// OnStep tells a test of each step of a write.
func (c *Cache) OnStep(step func(name string)) { c.step = step }
