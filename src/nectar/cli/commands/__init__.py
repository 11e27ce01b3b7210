"""One module for each verb, with a click command called ``command``; imported only when the verb is called."""
