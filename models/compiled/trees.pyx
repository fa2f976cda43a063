# cython: language_level=3, binding=True, cdivision=True
"""River's hot paths of Hoeffding trees, compiled: each does what River 0.26.1's function of that name does, bit for bit.

Where an object is not exactly of the class that this was written against, or a number is no float, River's own method is
called. Sums of a dict's values are left to Python's ``sum``, which rounds differently from version to version.
"""

from cpython.dict cimport PyDict_Check, PyDict_CheckExact, PyDict_GetItemWithError, PyDict_Next
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.object cimport PyObject, Py_LE, PyObject_RichCompareBool
from libc.math cimport INFINITY, exp, log, log2, pow, sqrt

import sys
import math
import numbers

from river.proba import Gaussian
from river.proba import gaussian as _gaussian
from river.stats import Mean, Var
from river.tree import base as _base
from river.tree.nodes import arf_htc_nodes as _forest, branch as _branch, htc_nodes as _leaves, leaf as _leaf
from river.tree.splitter import gaussian_splitter as _splitter
from river.tree import utils as _utils
from river.tree.split_criterion import info_gain_split_criterion as _gain
from river.tree.utils import do_naive_bayes_prediction as river_naive_bayes
from river.utils.norm import normalize_values_in_dict as river_normalize

cdef object Splitter = _splitter.GaussianSplitter
cdef object Numeric = _branch.NumericBinaryBranch
cdef object Branch = _base.Branch
cdef object Leaf = _base.Leaf
cdef object TreeLeaf = _leaf.HTLeaf
cdef object RandomLeaf = _forest.BaseRandomLeaf
cdef object river_update = _splitter.GaussianSplitter.update
cdef object river_log_pdf = Gaussian.log_pdf
cdef object river_iter_features = _leaf.HTLeaf._iter_features
cdef object river_iter_random = _forest.BaseRandomLeaf._iter_features
cdef double HALF_LOG_TAU = _gaussian._HALF_LOG_TAU
cdef frozenset ATOMS = frozenset({bool, int, float, str, bytes, type(None)})


cdef inline double log_pdf(object gaussian, object value) except? -1.0:
    """``Gaussian.log_pdf``."""
    cdef object var, mean, n, s, m
    cdef double count, variance, ddof, squared
    if type(gaussian) is Gaussian and PyFloat_CheckExact(value):
        var = gaussian._var
        if type(var) is Var:
            mean = var.mean
            if type(mean) is Mean:
                n, s, m = mean.n, var._S, mean._mean
                if PyFloat_CheckExact(n) and PyFloat_CheckExact(s) and PyFloat_CheckExact(m):
                    count, ddof = PyFloat_AS_DOUBLE(n), var.ddof
                    if count > ddof:
                        variance = PyFloat_AS_DOUBLE(s) / (count - ddof)
                        if variance > 0.0:
                            squared = pow(PyFloat_AS_DOUBLE(value) - PyFloat_AS_DOUBLE(m), 2.0)
                            if squared == INFINITY:  # Python raises an error where it is too large
                                return gaussian.log_pdf(value)
                            return squared / (-2.0 * variance) - HALF_LOG_TAU - 0.5 * log(variance)
                    return -INFINITY
    return gaussian.log_pdf(value)


def naive_bayes(x, observed_class_distribution, splitters):
    """``do_naive_bayes_prediction``."""
    cdef object total, label, weight, name, observer, value, by_class
    cdef PyObject* found
    cdef list used, values
    cdef dict votes
    cdef double vote, said, most, among, lse
    if not (PyDict_CheckExact(x) and PyDict_CheckExact(observed_class_distribution) and PyDict_CheckExact(splitters)):
        return river_naive_bayes(x, observed_class_distribution, splitters)
    total = sum((<dict>observed_class_distribution).values())
    if not observed_class_distribution or total == 0:
        return {}
    used, values = [], []
    for name, observer in (<dict>splitters).items():
        found = PyDict_GetItemWithError(x, name)
        if found is not NULL:
            if type(observer) is not Splitter:
                return river_naive_bayes(x, observed_class_distribution, splitters)
            used.append(observer._att_dist_per_class)
            values.append(<object>found)
    votes = {}
    for label, weight in (<dict>observed_class_distribution).items():
        if not weight > 0:
            votes[label] = 0.0
            continue
        vote = math.log(weight / total)
        for by_class, value in zip(used, values):
            found = PyDict_GetItemWithError(by_class, label)
            if found is not NULL:
                said = log_pdf(<object>found, value)
                if said > -INFINITY:
                    vote += said
        votes[label] = vote
    most = max(votes.values())
    lse = most + math.log(sum([exp(PyFloat_AS_DOUBLE(each) - most) for each in votes.values()]))
    for label in votes:
        votes[label] = exp(PyFloat_AS_DOUBLE(votes[label]) - lse)
    return votes


cdef inline bint update(object splitter, object value, object label, object weight) except -1:
    """``GaussianSplitter.update``, down to the mean."""
    cdef dict by_class, least, most
    cdef object gaussian, var, mean, n, m, s
    cdef PyObject* found
    cdef double w, v, before, after, count
    if type(splitter) is not Splitter or not PyFloat_CheckExact(value):
        splitter.update(value, label, weight)
        return 0
    by_class = splitter._att_dist_per_class
    found = PyDict_GetItemWithError(by_class, label)
    if found is NULL or type(<object>found) is not Gaussian:
        splitter.update(value, label, weight)
        return 0
    gaussian = <object>found
    var = gaussian._var
    if type(var) is not Var:
        splitter.update(value, label, weight)
        return 0
    mean = var.mean
    if type(mean) is not Mean:
        splitter.update(value, label, weight)
        return 0
    n, m, s = mean.n, mean._mean, var._S
    if not (PyFloat_CheckExact(n) and PyFloat_CheckExact(m) and PyFloat_CheckExact(s)) or not (
        PyFloat_CheckExact(weight) or type(weight) is int
    ):
        splitter.update(value, label, weight)
        return 0
    w, v = weight, PyFloat_AS_DOUBLE(value)
    count = PyFloat_AS_DOUBLE(n) + w
    if count == 0.0:
        splitter.update(value, label, weight)
        return 0
    least, most = splitter._min_per_class, splitter._max_per_class
    if value < least[label]:
        least[label] = value
    if value > most[label]:
        most[label] = value
    before = PyFloat_AS_DOUBLE(m)
    after = before + (w / count) * (v - before)
    mean.n = count
    mean._mean = after
    var._S = PyFloat_AS_DOUBLE(s) + w * (v - before) * (v - after)
    return 0


def update_splitters(self, x, y, w, nominal_attributes):
    """``HTLeaf.update_splitters``."""
    cdef dict splitters
    cdef object kept = self.splitters, how = type(self)._iter_features, disabled, name, value, splitter
    cdef PyObject* found
    cdef list pairs
    if not PyDict_CheckExact(kept) or not PyDict_CheckExact(x):
        return river_update_splitters(self, x, y, w, nominal_attributes)
    splitters, disabled = kept, self._disabled_attrs
    if how is river_iter_features:
        pairs = list((<dict>x).items())
    else:
        pairs = list(self._iter_features(x))
    for name, value in pairs:
        if disabled and name in disabled:
            continue
        found = PyDict_GetItemWithError(splitters, name)
        if found is not NULL:
            splitter = <object>found
        else:
            if (nominal_attributes is not None and name in nominal_attributes) or not isinstance(value, numbers.Number):
                splitter = self.new_nominal_splitter()
            else:
                splitter = self.splitter.clone()
            splitters[name] = splitter
        update(splitter, value, y, w)


river_update_splitters = _leaf.HTLeaf.update_splitters


def normalize(dictionary, factor=None, inplace=True, raise_error=False):
    """``normalize_values_in_dict``."""
    cdef object key, value
    cdef object times
    if inplace or raise_error or not PyDict_CheckExact(dictionary):
        return river_normalize(dictionary, factor, inplace, raise_error)
    for key, value in (<dict>dictionary).items():
        if type(key) not in ATOMS or not PyFloat_CheckExact(value) and type(value) is not int:
            return river_normalize(dictionary, factor, inplace, raise_error)
    if factor is None:
        factor = sum((<dict>dictionary).values())
    if factor == 0 or math.isnan(factor):
        return (<dict>dictionary).copy()
    times = 1 / factor
    return {key: value * times for key, value in (<dict>dictionary).items()}


cdef inline object following(object node, object x):
    """``node.next(x)``."""
    if type(node) is Numeric:
        return node.children[0 if x[node.feature] <= node.threshold else 1]
    return node.next(x)


def traverse(self, x, until_leaf=True):
    """``Branch.traverse``: the last node of the walk."""
    cdef object node = self
    while True:
        if type(node).walk is not walk:
            if isinstance(node, Leaf) and type(node).walk is river_leaf_walk:
                return node
            for node in node.walk(x, until_leaf):
                pass
            return node
        try:
            node = following(node, x)
        except KeyError:
            if not until_leaf:
                return node
            _, node = node.most_common_path()


river_leaf_walk = Leaf.walk


def walk(self, x, until_leaf=True):
    """``Branch.walk``."""
    cdef object node = self
    while type(node).walk is walk:
        yield node
        try:
            node = following(node, x)
        except KeyError:
            if not until_leaf:
                return
            _, node = node.most_common_path()
            yield node
    yield from node.walk(x, until_leaf)


cdef inline object likeliest(dict votes):
    """``max(votes, key=votes.get)``."""
    cdef object label, value, best = None, most = None
    for label, value in votes.items():
        if most is None or value > most:
            best, most = label, value
    return best


def adaptive_learn_one(self, x, y, *, w=1.0, tree=None):
    """``LeafNaiveBayesAdaptive.learn_one``, down to the splitters."""
    cdef object stats, splitters
    cdef dict said
    if type(self) not in ADAPTIVE:
        river_adaptive_learn_one(self, x, y, w=w, tree=tree)
        return
    stats, splitters = self.stats, self.splitters
    if splitters is not None:
        said = normalize(stats, None, False, False)
        if len(stats) == 0 or likeliest(said) == y:
            self._mc_correct_weight += w
        said = naive_bayes(x, stats, splitters)
        if said and likeliest(said) == y:
            self._nb_correct_weight += w
    self.update_stats(y, w)
    if splitters is not None:
        update_splitters(self, x, y, w, tree.nominal_attributes)


def adaptive_prediction(self, x, *, tree=None):
    """``LeafNaiveBayesAdaptive.prediction``."""
    if type(self) not in ADAPTIVE:
        return river_adaptive_prediction(self, x, tree=tree)
    if self.splitters is not None and self._nb_correct_weight >= self._mc_correct_weight:
        return naive_bayes(x, self.stats, self.splitters)
    return normalize(self.stats, None, False, False)


cdef frozenset ADAPTIVE = frozenset({_leaves.LeafNaiveBayesAdaptive, _forest.RandomLeafNaiveBayesAdaptive})
river_adaptive_learn_one = _leaves.LeafNaiveBayesAdaptive.learn_one
river_adaptive_prediction = _leaves.LeafNaiveBayesAdaptive.prediction


cdef object Gain = _gain.InfoGainSplitCriterion
cdef object Suggestion = _utils.BranchFactory
cdef object erf = math.erf
cdef bint PLAIN_SUM = sys.version_info < (3, 12)
"""Whether Python adds floats one by one; it compensates for the rounding since 3.12."""
cdef double SQRT_2 = math.sqrt(2.0)
cdef enum:
    CLASSES = 64


cdef struct Class:
    double n
    double least
    double most
    double mean
    double sigma
    double left
    double right
    bint in_left
    bint in_right


cdef double total(Class* classes, int number, bint of_left) except? -1.0:
    cdef double added = 0.0
    cdef int place
    if PLAIN_SUM:
        for place in range(number):
            if of_left and classes[place].in_left:
                added += classes[place].left
            elif not of_left and classes[place].in_right:
                added += classes[place].right
        return added
    return sum(branch(classes, number, of_left))


cdef list branch(Class* classes, int number, bint of_left):
    if of_left:
        return [classes[place].left for place in range(number) if classes[place].in_left]
    return [classes[place].right for place in range(number) if classes[place].in_right]


cdef double entropy(Class* classes, int number, bint of_left):
    """``_compute_entropy_dict``."""
    cdef double found = 0.0, weight = 0.0, d
    cdef int place
    for place in range(number):
        if classes[place].in_left if of_left else classes[place].in_right:
            d = classes[place].left if of_left else classes[place].right
            if d > 0.0:
                found -= d * log2(d)
                weight += d
    return (found + weight * log2(weight)) / weight if weight > 0.0 else 0.0


cdef int read(object splitter, Class* classes, list labels) except -1:
    """What the splitter knows of each class; how many, or 0 where River's own code has to look."""
    cdef int number = 0
    cdef double variance
    cdef object label, gaussian, var, mean, n, m, s, least, most
    for label, gaussian in (<dict?>splitter._att_dist_per_class).items():
        if number == CLASSES or type(gaussian) is not Gaussian:
            return 0
        var = gaussian._var
        if type(var) is not Var or type(var.mean) is not Mean:
            return 0
        mean = var.mean
        n, m, s = mean.n, mean._mean, var._S
        least, most = splitter._min_per_class[label], splitter._max_per_class[label]
        if not (
            PyFloat_CheckExact(n)
            and PyFloat_CheckExact(m)
            and PyFloat_CheckExact(s)
            and PyFloat_CheckExact(least)
            and PyFloat_CheckExact(most)
        ):
            return 0
        classes[number].n, classes[number].mean = n, m
        classes[number].least, classes[number].most = least, most
        variance = 0.0
        if classes[number].n > var.ddof:
            variance = PyFloat_AS_DOUBLE(s) / (classes[number].n - <double>var.ddof)
        if not variance >= 0.0:
            return 0
        classes[number].sigma = pow(variance, 0.5)
        labels.append(label)
        number += 1
    return number


cdef int part(Class* classes, int number, double at) except -1:
    """``_class_dists_from_binary_split``."""
    cdef int place
    cdef Class* each
    for place in range(number):
        each = &classes[place]
        each.in_left, each.in_right = at >= each.least, at < each.most
        if at < each.least:
            each.in_left, each.in_right, each.right = False, True, each.n
        elif at >= each.most:
            each.in_left, each.in_right, each.left = True, False, each.n
        else:
            each.in_left = each.in_right = True
            each.left = each.n * 0.0
            if each.sigma != 0.0:
                each.left = 0.5 * (1.0 + <double>erf((at - each.mean) / each.sigma / SQRT_2)) * each.n
            each.right = each.n - each.left
    return 0


def best_split(self, criterion, pre_split_dist, att_idx, binary_only):
    """``GaussianSplitter.best_evaluated_split_suggestion``, by information gain."""
    cdef Class classes[CLASSES]
    cdef list labels = []
    cdef int number, place, branches
    cdef double least = INFINITY, most = -INFINITY, width, at, best_at = 0.0, before, merit, best = -INFINITY
    cdef double left, right, weight, fraction
    if type(self) is not Splitter or type(criterion) is not Gain or type(self.n_splits) is not int:
        return river_best_split(self, criterion, pre_split_dist, att_idx, binary_only)
    number = read(self, classes, labels)
    if number == 0:
        return river_best_split(self, criterion, pre_split_dist, att_idx, binary_only)
    for place in range(number):
        if classes[place].least < least:
            least = classes[place].least
        if classes[place].most > most:
            most = classes[place].most
    fraction = criterion.min_branch_fraction
    width = (most - least) / (<double>self.n_splits + 1.0)
    before = criterion.compute_entropy(pre_split_dist)
    for place in range(self.n_splits):
        at = least + width * (place + 1)
        if not least < at < most:
            continue
        part(classes, number, at)
        left, right = total(classes, number, True), total(classes, number, False)
        weight = left + right
        branches = 0
        if weight > 0.0:
            branches = (left / weight > fraction) + (right / weight > fraction)
        merit = -INFINITY
        if branches == 2:
            merit = before - (
                left * entropy(classes, number, True) + right * entropy(classes, number, False)
            ) / weight
        if merit > best:
            best, best_at = merit, at
    if best == -INFINITY:
        return Suggestion()
    part(classes, number, best_at)
    dists = [
        {labels[place]: classes[place].left for place in range(number) if classes[place].in_left},
        {labels[place]: classes[place].right for place in range(number) if classes[place].in_right},
    ]
    return Suggestion(best, att_idx, best_at, dists)


river_best_split = Splitter.best_evaluated_split_suggestion
